//! Whatever the way on which a workflow comes to be called: it sees what it is granted, looks up what it may, and what it
//! is kept from is in the audit log.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind among all")]

mod by_function;
mod own;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use by_function::ByFunction;
use crm::blocking::Crm;
use crm::{
    AuditAction, AuditActor, CardUpdate, Channel, Command, Comparison, ConsentWithdrawn, CrmBuilder, Currency,
    CustomerId, Deed, Definition, EventBody, Field, FieldName, FieldValue, GivePoints, Grants, Identifier, Incoming,
    LookupSource, ManualClock, Method, Money, Names, OrderPlaced, PoolCommand, Predicate, Program, Purpose,
    SegmentName, SmolStr, SourceFailed, SourceName, Span, Strength, Tag, TenantId, Tie, TieKind, Timestamp, View,
    ViewName, Visited, Which,
};
use own::{Own, ask, day, points, somebody, source, tell};

/// Pieces in stock. Where it is slow it answers when it is polled for the second time.
#[derive(Debug, Default)]
struct Stock {
    slow: bool,
}

#[async_trait]
impl LookupSource for Stock {
    async fn fetch(
        &self,
        _: &TenantId,
        _: &FieldName,
        keys: &[SmolStr],
    ) -> Result<Vec<Option<FieldValue>>, SourceFailed> {
        let waited = AtomicBool::new(!self.slow);
        std::future::poll_fn(|context| {
            if waited.swap(true, Ordering::Relaxed) {
                return std::task::Poll::Ready(());
            }
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
        Ok(keys.iter().map(|_| Some(FieldValue::Int(7))).collect())
    }
}

fn stock() -> SourceName {
    SourceName::new("stock").unwrap()
}

/// Whom a workflow was called for, by their language, and what it looked up.
type Seen = Arc<Mutex<Vec<(CustomerId, Option<String>, Option<FieldValue>)>>>;

/// Looks things up, looks at the card, and asks for what it is granted and for what it is not.
fn nosy(kind: &'static str, seen: &Seen) -> (Own, Grants) {
    let seen = Arc::clone(seen);
    let nosy = Own::new("nosy", &[kind], move |call| {
        let pieces = call.look_up(&stock(), &"pieces".parse().unwrap(), &["bicycle"])?;
        let language = call.card().and_then(|card| card.language().map(|language| language.as_str().to_owned()));
        seen.lock().unwrap().push((call.customer.id(), language, pieces[0].clone()));
        ask(vec![tell("seen"), Command::AddTag(Tag::new("king").unwrap())])
    });
    let mut grants = Grants::all();
    grants.actions = Names::these(["notify"]);
    grants.view = Some(ViewName::new("greeting").unwrap());
    (nosy.seeing(&[Field::Language]), grants)
}

/// A shop with everything by which a workflow may come to be called, and two customers.
struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    ana: CustomerId,
    ben: CustomerId,
    seen: Seen,
}

impl Shop {
    fn new(kind: &'static str) -> Self {
        Self::over(kind, crm::Crm::builder(), false)
    }

    fn over(kind: &'static str, builder: CrmBuilder, slow: bool) -> Self {
        let seen = Seen::default();
        let (nosy, grants) = nosy(kind, &seen);
        let builder = builder.workflow_granted(nosy, grants).lookup_source(stock(), Stock { slow });
        let clock = Arc::new(ManualClock::at(day(0)));
        let crm = Crm::from(builder.clock(Arc::clone(&clock)).build());
        let view = Definition::View(ViewName::new("greeting").unwrap(), Some(View::of([Field::Language])));
        let pools = crm::PoolPolicy { members: 5, each: None, share_millionths: 0, on_leaving: crm::OnLeaving::Stay };
        let gifts = Some(crm::GiftPolicy::default());
        let program = Program { gifts, pools: Some(pools), ..Program::point_per_unit(Currency::EUR) };
        let referral = crm::Referral {
            program: points(),
            referrer: 5,
            referred: 5,
            at_least: None,
            wait: Span::days(14),
            each: None,
        };
        let coupon = crm::Coupon::new(crm::Benefit::PercentOff(10));
        for definition in [
            view,
            Definition::Program(points(), Some(program)),
            Definition::Referral("friend".parse().unwrap(), Some(referral)),
            Definition::Coupon("TEN".parse().unwrap(), Some(Box::new(coupon))),
        ] {
            crm.define(day(0), definition).unwrap();
        }
        let [ana, ben] = ["ana", "ben"].map(|who| crm.record(order(who, day(0))).unwrap().customer);
        for (who, language) in [(ana, "pt"), (ben, "de")] {
            let update = CardUpdate::new().language(crm::Language::new(language).unwrap());
            crm.update_card(who, update, &source(), day(0)).unwrap();
        }
        seen.lock().unwrap().clear();
        Shop { crm, clock, ana, ben, seen }
    }

    fn refusals(&self) -> usize {
        let records = self.crm.audit_log(None, 1_000).unwrap().records;
        let refused = |record: &&crm::AuditRecord| match (record.entry.by(), record.entry.action()) {
            (AuditActor::Plugin(plugin), AuditAction::PluginRefused) => plugin.as_str() == "nosy",
            _ => false,
        };
        self.crm.verify_audit(&[], &[]).unwrap();
        records.iter().filter(refused).count()
    }

    /// What went wrong with calls for either customer.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for who in [self.ana, self.ben] {
            for event in self.crm.story(who).unwrap().unwrap().events {
                if let EventBody::Decision(crm::Decision { deed: Deed::Faulted(faulted), .. }) = event.body {
                    faults.push(faulted.fault.to_string());
                }
            }
        }
        faults
    }
}

fn order(who: &str, at: Timestamp) -> Incoming {
    Incoming::new(somebody(who), at, source(), OrderPlaced::new(Money::new(5_000, Currency::EUR)))
}

fn why() -> crm::Remark {
    "a test".parse().unwrap()
}

/// A workflow that listens to a kind is called when something is done, and is as well off as when a fact is recorded.
fn check(kind: &'static str, act: impl FnOnce(&Shop)) {
    let shop = Shop::new(kind);
    let before = shop.refusals();
    act(&shop);
    let seen = shop.seen.lock().unwrap().clone();
    assert!(!seen.is_empty(), "{kind}: nobody was called, {:?}", shop.faults());
    for (_, language, pieces) in &seen {
        assert!(language.is_some(), "{kind}: {seen:?}");
        assert_eq!(*pieces, Some(FieldValue::Int(7)), "{kind}");
    }
    let faults = shop.faults();
    assert!(faults.iter().all(|fault| fault == "not granted: the action add_tag"), "{kind}: {faults:?}");
    let mut customers: Vec<CustomerId> = seen.iter().map(|(customer, ..)| *customer).collect();
    customers.sort_unstable();
    customers.dedup();
    assert!(shop.refusals() >= before + customers.len(), "{kind}: {} after {before}", shop.refusals());
}

fn segment(shop: &Shop) {
    let twice = Predicate::orders_in_last(999, Comparison::Ge, 2);
    shop.crm.define(day(0), Definition::Segment(SegmentName::new("twice").unwrap(), Some(twice))).unwrap();
    shop.crm.fill(|_| {}).unwrap();
}

#[test]
fn in_gifts_pools_referrals_and_draws() {
    let gift = |points_given| GivePoints { program: points(), points: points_given, reason: why() };
    check("points_posted", |shop| {
        shop.crm.give_points(shop.ana, shop.ben, gift(10), "gift").unwrap();
    });
    check("points_posted", |shop| {
        let pool = |command, key| shop.crm.pool(shop.ana, &points(), command, key).unwrap();
        pool(PoolCommand::Open { kind: crm::PoolKind::Household }, "open");
        pool(PoolCommand::Join { member: shop.ben, allowance: crm::MemberAllowance::Any }, "join");
        pool(PoolCommand::Contribute { member: shop.ben, points: 5, reason: why() }, "contribute");
    });
    check("tied", |shop| {
        let new = shop.crm.record(Incoming::new(somebody("new"), day(0), source(), visited())).unwrap().customer;
        let update = CardUpdate::new().language(crm::Language::new("fr").unwrap());
        shop.crm.update_card(new, update, &source(), day(0)).unwrap();
        shop.crm.refer(&"friend".parse().unwrap(), shop.ana, new, "refer").unwrap();
    });
    check("points_posted", |shop| {
        let (spring, seed) = ("spring".parse().unwrap(), crm::Seed::from_bytes([7; 32]));
        let commitment = seed.commitment();
        let draw = crm::Draw { program: points(), points: 100, winners: 1, commitment, entries: None };
        shop.crm.announce_draw(&spring, draw).unwrap();
        let entries = crm::DrawEntries::These(crm::Entries::new([(shop.ben, 1)]).unwrap());
        assert_eq!(shop.crm.draw(&spring, &entries, &seed, "draw").unwrap().winners, [shop.ben]);
    });
}

#[test]
fn when_a_referral_is_rewarded_by_the_passing_of_time() {
    check("points_posted", |shop| {
        let new = shop.crm.record(Incoming::new(somebody("new"), day(0), source(), visited())).unwrap().customer;
        let update = CardUpdate::new().language(crm::Language::new("fr").unwrap());
        shop.crm.update_card(new, update, &source(), day(0)).unwrap();
        shop.crm.refer(&"friend".parse().unwrap(), shop.ana, new, "refer").unwrap();
        shop.crm.record(order("new", day(0))).unwrap();
        shop.seen.lock().unwrap().clear();
        shop.clock.set(day(15));
        shop.crm.advance(day(15)).unwrap();
        assert!(shop.seen.lock().unwrap().iter().any(|(who, ..)| *who == shop.ana), "who brought them is rewarded");
    });
}

#[test]
fn when_customers_are_merged_and_parted_by_hand() {
    check("segment_entered", |shop| {
        segment(shop);
        let merged = shop.crm.merge(shop.ana, shop.ben, why()).unwrap();
        assert_eq!(shop.seen.lock().unwrap().last().map(|(who, ..)| *who), Some(merged.customer));
    });
    check("segment_left", |shop| {
        segment(shop);
        shop.crm.merge(shop.ana, shop.ben, why()).unwrap();
        shop.crm.part(shop.ana, shop.ben, why()).unwrap();
    });
}

#[test]
fn when_customers_are_scored() {
    check("scored", |shop| {
        let mut same = ByFunction::new("same", &[], &["same"], |_, _| vec![Some(0.5)]);
        let report = shop.crm.score(&mut same, day(0)).unwrap();
        assert_eq!(report.scored, 2);
        for who in [shop.ana, shop.ben] {
            assert_eq!(shop.crm.story(who).unwrap().unwrap().scores.len(), 1, "and the score is kept");
        }
    });
}

#[test]
fn when_a_segment_is_filled() {
    check("segment_entered", |shop| {
        let all = Predicate::orders_in_last(999, Comparison::Ge, 1);
        shop.crm.define(day(0), Definition::Segment(SegmentName::new("all").unwrap(), Some(all))).unwrap();
        shop.crm.fill(|_| {}).unwrap();
    });
}

fn visited() -> Visited {
    Visited { channel: Channel::Web, place: None }
}

#[test]
fn in_ties_cards_consent_vouchers_and_gift_cards() {
    check("tied", |shop| {
        let tie = Tie { from: shop.ana, to: shop.ben, kind: TieKind::Household, strength: Strength::FULL };
        shop.crm.tie(tie, day(0), source(), "tie".parse().unwrap()).unwrap();
    });
    check("card_changed", |shop| {
        let update = CardUpdate::new().employer(crm::CardLine::new("Acme").unwrap());
        let told = crm::CardTold { customer: shop.ana, update, source: source(), at: day(0) };
        shop.crm.update_cards(&[told]).unwrap().remove(0).unwrap();
    });
    check("consent_withdrawn", |shop| {
        let stop = ConsentWithdrawn::new(Purpose::new("marketing").unwrap(), Which::All, Method::Reply);
        shop.crm.record(Incoming::new(shop.ana, day(0), source(), stop)).unwrap();
        let link = shop.crm.unsubscribe_token(shop.ben, Purpose::new("marketing").unwrap(), Channel::Email);
        shop.crm.withdraw_by_token(link.as_str()).unwrap();
    });
    check("voucher_issued", |shop| {
        shop.crm.issue_voucher(shop.ana, &"TEN".parse().unwrap(), None).unwrap();
    });
    check("credit_posted", |shop| {
        let code = crm::GiftCardCode::random().unwrap();
        let sale = crm::GiftCardSale::new(Money::new(2_000, Currency::EUR));
        shop.crm.issue_gift_card(shop.ana, &code, sale, "card").unwrap();
        shop.crm.redeem_gift_card(shop.ben, &code, "redeem").unwrap();
    });
}

#[test]
fn when_somebody_is_known_by_several_identifiers_and_in_batches() {
    check("visited", |shop| {
        let who = vec![somebody("ana").verified(), Identifier::email("ana@example.com").unwrap().verified()];
        shop.crm.record(Incoming::new(who, day(0), source(), visited())).unwrap();
    });
    check("visited", |shop| {
        let visits = ["ana", "ben"].map(|who| Incoming::new(somebody(who), day(0), source(), visited()));
        assert_eq!(shop.crm.ingest(visits, crm::Ingestion::live()).unwrap().recorded, 2);
    });
    check("visited", |shop| {
        // Late, so that it takes the history as well.
        let at = day(0).minus(Span::days(3));
        let visits = ["ana", "ben"].map(|who| Incoming::new(somebody(who), at, source(), visited()));
        assert_eq!(shop.crm.ingest(visits, crm::Ingestion::live()).unwrap().recorded, 2);
    });
}

#[cfg(feature = "sqlite")]
mod inside {
    use super::*;
    use crm::sqlite::install;
    use crm::sqlite::rusqlite::{Connection, TransactionBehavior};
    use crm::{SqliteOptions, SqliteStore};
    use tempfile::TempDir;

    fn shop(slow: bool) -> (Shop, Connection, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let mut connection = Connection::open(&path).unwrap();
        install(&mut connection).unwrap();
        let store = SqliteStore::open_with(&path, &SqliteOptions::default().beside_other_tables()).unwrap();
        (Shop::over("visited", crm::Crm::builder().store(store), slow), connection, folder)
    }

    fn visit() -> Incoming {
        Incoming::new(somebody("ana"), day(0), source(), visited())
    }

    #[test]
    fn a_transaction_of_the_shops_sees_cards_and_sources_and_rolled_back_nothing_was_refused() {
        let (shop, mut connection, _folder) = shop(false);
        for kept in [false, true] {
            shop.seen.lock().unwrap().clear();
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
            let mut inside = shop.crm.within(&transaction).unwrap();
            inside.record(visit()).unwrap();
            drop(inside);
            assert_eq!(*shop.seen.lock().unwrap(), [(shop.ana, Some("pt".into()), Some(FieldValue::Int(7)))]);
            match kept {
                true => transaction.commit().unwrap(),
                false => transaction.rollback().unwrap(),
            }
            assert_eq!((shop.refusals(), shop.faults().len()), (usize::from(kept), usize::from(kept)));
        }
    }

    #[test]
    fn what_a_transaction_would_have_to_wait_for_is_a_fault_of_the_call_and_the_fact_stays() {
        let (shop, mut connection, _folder) = shop(true);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        let mut inside = shop.crm.within(&transaction).unwrap();
        let recorded = inside.record(visit()).unwrap();
        drop(inside);
        transaction.commit().unwrap();
        let not_at_once = crm::LookupFault::NotAtOnce { source_name: stock() };
        assert_eq!((recorded.known, shop.faults()), (false, vec![not_at_once.to_string()]));
        // Outside there is somebody to wait for it.
        let again = Incoming::new(somebody("ben"), day(0), source(), visited());
        shop.crm.record(again).unwrap();
        assert_eq!(shop.seen.lock().unwrap().len(), 1);
    }
}
