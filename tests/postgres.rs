//! The CRM over PostgreSQL: the same customers as on every backend, and inside the shop's own transaction.
#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[path = "../crm-storage/tests/postgres_server/mod.rs"]
mod postgres_server;

mod drawer;
mod redeemers;

use std::sync::Arc;

use crm::{
    Attribute, CardLine, CardUpdate, Channel, ClaimCoupon, Command, Comparison, ConfirmProof, ContactQuery, Copies,
    Crm, Currency, Definition, DerivedIds, Dialect, Digest, Error, ExternalSystem, Identifier, Incoming, Ingestion,
    Locale, ManualClock, MemoryStore, Method, Money, OptIn, OrderPlaced, OrderRef, PostgresOptions, PostgresStore,
    Predicate, Program, ProgramId, Proof, Purpose, RedeemPoints, Refunded, SegmentName, Source, Span, SqliteStore,
    Store, Strength, SuppressionReason, Tie, TieKind, Timestamp, Untie, Wording,
};
use postgres_server::{Server, block_on, connect, server};

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::days(day))
}

fn who(number: u32) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), &number.to_string()).unwrap()
}

fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn order(number: u32, customer: u32, at: Timestamp, cents: i64) -> Incoming {
    let placed =
        OrderPlaced::new(Money::new(cents, Currency::EUR)).with_order(OrderRef::new(number.to_string()).unwrap());
    Incoming::new(who(customer), at, Source::new("shop").unwrap(), placed).with_key(number.to_string().parse().unwrap())
}

async fn open(store: Arc<dyn Store>, clock: &Arc<ManualClock>) -> Crm {
    let crm = Crm::builder().shared_store(store).clock(Arc::clone(clock)).ids(DerivedIds).build();
    let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(40));
    crm.define(Timestamp::MIN, Definition::Program(points(), Some(program))).await.unwrap();
    let regulars = Predicate::orders_in_last(30, Comparison::Ge, 2);
    crm.define(Timestamp::MIN, Definition::Segment(SegmentName::new("regulars").unwrap(), Some(regulars)))
        .await
        .unwrap();
    crm
}

#[test]
fn the_same_facts_give_the_same_customers_byte_for_byte_on_every_backend() {
    let Some(server) = server() else { return };
    let folder = tempfile::tempdir().unwrap();
    let url = server.url(&server.database());
    block_on(async {
        let plain = PostgresOptions::default().lanes(16).schema("plain");
        let sharded = PostgresOptions::default().lanes(16).schema("sharded").dialect(Dialect::Sharded);
        let stores: [Arc<dyn Store>; 4] = [
            Arc::new(MemoryStore::new()),
            Arc::new(SqliteStore::open(folder.path().join("crm.db")).unwrap()),
            Arc::new(PostgresStore::connect(&url, &plain).await.unwrap()),
            Arc::new(PostgresStore::connect(&url, &sharded).await.unwrap()),
        ];
        let mut seen = Vec::new();
        for store in stores {
            let clock = Arc::new(ManualClock::at(day(60)));
            let crm = open(store, &clock).await;
            // Out of order, so that histories are read and folded anew.
            let facts = (0..400_u32).map(|n| order(n, n * 7 % 40, day(n * 13 % 60), i64::from(n * 37 % 9_000)));
            let refunds = (0..40_u32).map(|n| {
                let refund = Refunded {
                    order: Some(OrderRef::new((n * 10).to_string()).unwrap()),
                    amount: Money::new(500, Currency::EUR),
                };
                Incoming::new(who(n * 70 % 40), day(59), Source::new("shop").unwrap(), refund)
            });
            let all: Vec<Incoming> = facts.chain(refunds).collect();
            crm.ingest(futures_util::stream::iter(all), Ingestion::live()).await.unwrap();
            clock.set(day(120));
            crm.advance(day(120)).await.unwrap();
            let rich = Predicate::compare(Attribute::Spend, Comparison::Gt, 40_000);
            let chosen = crm.select(&rich, None, 100).await.unwrap().customers;
            let mut digests = Vec::new();
            crm.for_each_customer(|customer| digests.push((customer.id(), customer.digest()))).await.unwrap();
            assert_eq!(digests.len(), 40);
            seen.push((crm.overview().await.unwrap(), chosen, digests));
        }
        assert_eq!(seen[0].0.customers, 40);
        assert!(seen.iter().all(|other| *other == seen[0]), "{seen:#?}");
    });
}

#[test]
fn a_checkout_is_one_transaction_with_the_shop() {
    let Some(server) = server() else { return };
    let url = server.url(&server.database());
    block_on(async {
        let store = Arc::new(PostgresStore::connect(&url, &PostgresOptions::default().lanes(16)).await.unwrap());
        let clock = Arc::new(ManualClock::at(day(1)));
        let crm = open(Arc::clone(&store) as Arc<dyn Store>, &clock).await;
        let mut shop = connect(&url).await;
        shop.batch_execute("CREATE TABLE sale (number integer PRIMARY KEY)").await.unwrap();
        let coupon = || Command::ClaimCoupon(ClaimCoupon { coupon: "SPRING".parse().unwrap(), uses: 1 });
        for (round, kept) in [(1, false), (2, true)] {
            let transaction = shop.transaction().await.unwrap();
            transaction.execute("INSERT INTO sale VALUES (1)", &[]).await.unwrap();
            {
                let inside = crm.within_postgres(&store, &transaction).await.unwrap();
                let ana = inside.record(order(1, 1, day(1), 5_000)).await.unwrap().customer;
                let redeem = RedeemPoints {
                    program: points(),
                    points: 20,
                    reason: "shoes".parse().unwrap(),
                    order: None,
                    total: None,
                };
                inside.execute(ana, Command::RedeemPoints(redeem), "points-1").await.unwrap();
                inside.execute(ana, coupon(), "coupon-1").await.unwrap();
                let seen = inside.customer(who(1)).await.unwrap().unwrap();
                assert_eq!(seen.book(&points()).unwrap().balance(), 30);
                // What is refused leaves the shop's transaction as it was.
                let other = inside.record(order(2, 2, day(1), 100)).await.unwrap().customer;
                assert!(matches!(inside.execute(other, coupon(), "coupon-2").await, Err(Error::Refused(_))));
            }
            assert_eq!(crm.customer(who(1)).await.unwrap(), None, "round {round}: nobody else sees it yet");
            if kept { transaction.commit().await.unwrap() } else { transaction.rollback().await.unwrap() }
        }
        let sales: i64 = shop.query_one("SELECT count(*) FROM sale", &[]).await.unwrap().get(0);
        let ana = crm.customer(who(1)).await.unwrap().unwrap();
        assert_eq!((sales, ana.book(&points()).unwrap().balance()), (1, 30));
        // Outside it goes on from there.
        crm.record(order(3, 1, day(1), 1_000)).await.unwrap();
        assert_eq!(crm.customer(who(1)).await.unwrap().unwrap().book(&points()).unwrap().balance(), 40);
    });
}

#[test]
fn of_thirty_two_at_once_as_many_get_a_coupon_a_voucher_and_a_reward_as_may() {
    let Some(server) = server() else { return };
    let url = server.url(&server.database());
    let store = block_on(PostgresStore::connect(&url, &PostgresOptions::default().lanes(16))).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    redeemers::a_coupon(&store);
    redeemers::a_voucher(&store);
    redeemers::a_reward(&store);
}

/// Pieces in stock, told when it is asked for the second time.
#[derive(Debug)]
struct Stock;

#[async_trait::async_trait]
impl crm::LookupSource for Stock {
    async fn fetch(
        &self,
        _: &crm::TenantId,
        _: &crm::FieldName,
        keys: &[crm::SmolStr],
    ) -> Result<Vec<Option<crm::FieldValue>>, crm::SourceFailed> {
        let mut waited = false;
        std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut waited, true) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        Ok(vec![Some(crm::FieldValue::Int(7)); keys.len()])
    }
}

/// Looks at the card and at the stock, and asks for what it is not granted.
#[derive(Debug)]
struct Nosy(crm::PluginStamp, crm::Asks, Arc<std::sync::Mutex<Vec<Option<String>>>>);

impl crm::Workflow for Nosy {
    fn stamp(&self) -> &crm::PluginStamp {
        &self.0
    }
    fn listens(&self, kind: &str) -> bool {
        kind == "order_placed"
    }
    fn asks(&self) -> &crm::Asks {
        &self.1
    }
    fn handle(&self, call: &crm::WorkflowCall<'_>) -> Result<crm::WorkflowReply, crm::PluginFault> {
        let pieces = call.look_up(&"stock".parse().unwrap(), &"pieces".parse().unwrap(), &["bicycle"])?;
        assert_eq!(pieces, [Some(crm::FieldValue::Int(7))]);
        let language = call.card().and_then(|card| card.language().map(|language| language.as_str().to_owned()));
        self.2.lock().unwrap().push(language);
        Ok(crm::WorkflowReply { commands: vec![Command::AddTag(crm::Tag::new("king").unwrap())], memory: None })
    }
}

#[test]
fn a_plugin_sees_cards_and_sources_inside_and_what_it_is_kept_from_is_audited_in_the_same_transaction() {
    let Some(server) = server() else { return };
    let url = server.url(&server.database());
    block_on(async {
        let store = Arc::new(PostgresStore::connect(&url, &PostgresOptions::default().lanes(16)).await.unwrap());
        let clock = Arc::new(ManualClock::at(day(1)));
        let stamp =
            crm::PluginStamp { name: "nosy".parse().unwrap(), version: "1".into(), digest: Digest::of(b"nosy") };
        let asks = crm::Asks { fields: vec![crm::Field::Language], ..crm::Asks::default() };
        let seen = Arc::default();
        let mut grants = crm::Grants::none();
        grants.events = crm::Names::All;
        grants.lookups = crm::Names::All;
        let view = crm::ViewName::new("greeting").unwrap();
        grants.view = Some(view.clone());
        let crm = Crm::builder().shared_store(Arc::clone(&store) as Arc<dyn Store>).clock(clock).ids(DerivedIds);
        let crm = crm
            .workflow_granted(Nosy(stamp, asks, Arc::clone(&seen)), grants)
            .lookup_source("stock".parse().unwrap(), Stock);
        let crm = crm.build();
        let shown = crm::View::of([crm::Field::Language]);
        crm.define(day(0), Definition::View(view, Some(shown))).await.unwrap();
        let visit = crm::Visited { channel: Channel::Web, place: None };
        let ana =
            crm.record(Incoming::new(who(1), day(0), Source::new("shop").unwrap(), visit)).await.unwrap().customer;
        let update = CardUpdate::new().language(crm::Language::new("pt").unwrap());
        crm.update_card(ana, update, &Source::new("shop").unwrap(), day(0)).await.unwrap();
        let refused = async || {
            let log = crm.audit_log(None, 100).await.unwrap().records;
            log.iter().filter(|record| matches!(record.entry.action(), crm::AuditAction::PluginRefused)).count()
        };
        let mut shop = connect(&url).await;
        for kept in [false, true] {
            let transaction = shop.transaction().await.unwrap();
            let inside = crm.within_postgres(&store, &transaction).await.unwrap();
            inside.record(order(1, 1, day(1), 5_000)).await.unwrap();
            drop(inside);
            assert_eq!(seen.lock().unwrap().drain(..).collect::<Vec<_>>(), [Some("pt".to_owned())]);
            match kept {
                true => transaction.commit().await.unwrap(),
                false => transaction.rollback().await.unwrap(),
            }
            assert_eq!(refused().await, usize::from(kept));
        }
        crm.verify_audit(&[], &[]).await.unwrap();
    });
}

#[test]
fn a_transaction_that_cannot_carry_the_crm_is_refused_and_stays_as_it_was() {
    let Some(server) = server() else { return };
    let [ours, other, theirs] = [(); 3].map(|()| server.url(&server.database()));
    block_on(async {
        let store = PostgresStore::connect(&ours, &PostgresOptions::default().lanes(16)).await.unwrap();
        let crm = Crm::in_memory();
        PostgresStore::connect(&theirs, &PostgresOptions::default().lanes(16)).await.unwrap();
        let newer = "INSERT INTO crm.migration (step, name, checksum) VALUES (9, 'newer', '\\x00')";
        let other_step = "UPDATE crm.migration SET checksum = '\\x00' WHERE step = 1";
        let cases = [
            (&other, "SELECT 1", "without the schema crm"),
            (&ours, "SET TRANSACTION READ ONLY", "may only read"),
            (&theirs, newer, "of another version"),
            (&theirs, other_step, "of another version"),
        ];
        for (url, begin, reason) in cases {
            let mut shop = connect(url).await;
            let transaction = shop.transaction().await.unwrap();
            transaction.batch_execute(begin).await.unwrap();
            let refusal = crm.within_postgres(&store, &transaction).await.unwrap_err().to_string();
            assert!(refusal.contains(reason), "{refusal}");
            transaction.batch_execute("SELECT 1").await.unwrap();
        }
    });
}

#[test]
fn a_transaction_that_is_less_durable_than_the_store_is_refused() {
    let Some(server) = Server::start(&["fsync=on"]) else { return };
    let url = server.url(&server.database());
    block_on(async {
        let store = PostgresStore::connect(&url, &PostgresOptions::default().lanes(16)).await.unwrap();
        let mut shop = connect(&url).await;
        let transaction = shop.transaction().await.unwrap();
        transaction.batch_execute("SET LOCAL synchronous_commit = off").await.unwrap();
        let refusal = Crm::in_memory().within_postgres(&store, &transaction).await.unwrap_err().to_string();
        assert!(refusal.contains("synchronous_commit is off"), "{refusal}");
    });
}

#[test]
fn consent_ties_and_cards_are_written_inside_and_a_rollback_leaves_nothing_of_them() {
    let Some(server) = server() else { return };
    let url = server.url(&server.database());
    block_on(async {
        let store = Arc::new(PostgresStore::connect(&url, &PostgresOptions::default().lanes(16)).await.unwrap());
        let noon = Timestamp::parse("2026-01-02T12:00:00Z").unwrap();
        let clock = Arc::new(ManualClock::at(noon));
        let crm = open(Arc::clone(&store) as Arc<dyn Store>, &clock).await;
        let ana = crm.record(order(1, 1, day(1), 5_000)).await.unwrap().customer;
        let ben = crm.record(order(2, 2, day(1), 5_000)).await.unwrap().customer;
        let source = || Source::new("shop").unwrap();
        let mail = |who: &str| Identifier::email(&format!("{who}@example.com")).unwrap();
        let marketing = || Purpose::new("marketing").unwrap();
        let query = ContactQuery::new(marketing(), Channel::Email, noon);
        let proof = || {
            let (version, locale) = ("1".parse().unwrap(), Locale::new("en").unwrap());
            Proof::new(Method::Form, Wording { version, sha256: Digest::of(b"yes"), locale }, "web".parse().unwrap())
        };
        let mut shop = connect(&url).await;
        for kept in [false, true] {
            let before = crm.story(ana).await.unwrap();
            let transaction = shop.transaction().await.unwrap();
            {
                let inside = crm.within_postgres(&store, &transaction).await.unwrap();
                let asked = OptIn::new(marketing(), Channel::Email, mail("ana"), proof());
                let token = inside.request_opt_in(ana, asked).await.unwrap().token;
                let by = ConfirmProof { collected_by: "page".parse().unwrap(), address: None };
                inside.confirm_opt_in(&token, by).await.unwrap();
                assert!(inside.may_contact(ana, &query, Some(&mail("ana"))).await.unwrap().is_ok());
                let link = inside.unsubscribe_token(ben, marketing(), Channel::Email);
                assert!(inside.withdraw_by_token(link.as_str()).await.unwrap().event.is_some());
                let list = ["eve", "kim"].map(mail);
                assert_eq!(inside.suppress_all(list, SuppressionReason::PublicList, &source()).await.unwrap(), 2);
                assert!(inside.unsuppress(ana, &mail("kim"), proof()).await.unwrap());
                let tie = |kind| Tie { from: ana, to: ben, kind, strength: Strength::FULL };
                inside.tie(tie(TieKind::Referred), noon, source(), "t-1".parse().unwrap()).await.unwrap();
                inside.tie(tie(TieKind::Household), day(1), source(), "t-2".parse().unwrap()).await.unwrap();
                let end = Untie { from: ben, to: ana, kind: TieKind::Household };
                inside.untie(end, noon, source(), "t-3".parse().unwrap()).await.unwrap();
                let update = CardUpdate::new().employer(CardLine::new("Acme").unwrap());
                inside.update_card(ana, update, &source(), noon).await.unwrap();
                assert_eq!(inside.card(ana).await.unwrap().employer(), Some("Acme"));
            }
            assert_eq!(crm.story(ana).await.unwrap(), before, "nobody else sees any of it");
            if kept {
                transaction.commit().await.unwrap()
            } else {
                transaction.rollback().await.unwrap()
            }
            let may = crm.may_contact(ana, &query, Some(&mail("ana"))).await.unwrap().is_ok();
            let suppressed = crm.is_suppressed(&mail("eve")).await.unwrap().is_some();
            let has_card = crm.card(ana).await.unwrap().employer().is_some();
            assert_eq!((may, suppressed, has_card), (kept, kept, kept));
            for id in [ana, ben] {
                assert_eq!(crm.customer(id).await.unwrap().unwrap().ties().count(), usize::from(kept));
            }
            if !kept {
                assert_eq!(crm.story(ana).await.unwrap(), before, "it never was");
            }
        }
    });
}

#[test]
fn store_credit_is_spent_and_a_gift_card_redeemed_exactly_as_often_as_can_be() {
    use crm::credit::CreditError;
    use crm::{GiftCardCode, GiftCardSale, GrantCredit, Refusal, SpendCredit};
    let Some(server) = server() else { return };
    let url = server.url(&server.database());
    for dialect in [Dialect::Plain, Dialect::Sharded] {
        let (store, schema) = (url.clone(), format!("credit_{dialect:?}").to_lowercase());
        let options = PostgresOptions::default().lanes(16).schema(&schema).dialect(dialect);
        let store = Arc::new(block_on(PostgresStore::connect(&store, &options)).unwrap());
        let crm = block_on(open(store, &Arc::new(ManualClock::at(day(1)))));
        let crm = crm::blocking::Crm::from(crm);
        let people: Vec<_> = (0..8).map(|n| crm.record(order(n, n, day(1), 100)).unwrap().customer).collect();
        let eur = |minor| Money::new(minor, Currency::EUR);
        let grant = GrantCredit { amount: eur(1_000), reason: "test".parse().unwrap(), expires_at: None };
        crm.execute(people[0], grant.into(), "grant").unwrap();
        let code = GiftCardCode::random().unwrap();
        crm.issue_gift_card(people[0], &code, GiftCardSale::new(eur(500)), "issue").unwrap();
        let refused = |error: Error| {
            let text = error.to_string();
            let Error::Refused(Refusal::Credit(error)) = error else { panic!("{text}") };
            error
        };
        std::thread::scope(|scope| {
            let spends: Vec<_> = (0..32)
                .map(|n| {
                    let (crm, people) = (&crm, &people);
                    let spend = SpendCredit { amount: eur(100), order: None };
                    scope.spawn(move || crm.execute(people[0], spend.into(), &format!("spend {n}")).map_err(refused))
                })
                .collect();
            let told: Vec<_> = spends.into_iter().map(|spend| spend.join().unwrap()).collect();
            let none = CreditError::NotEnough { currency: Currency::EUR, asked: 100, available: 0 };
            assert_eq!(told.iter().filter(|told| told.is_ok()).count(), 10);
            assert!(told.iter().all(|told| told.as_ref().err().is_none_or(|error| *error == none)), "{told:?}");
            let cards: Vec<_> = people
                .iter()
                .map(|one| {
                    let (crm, code) = (&crm, &code);
                    scope.spawn(move || crm.redeem_gift_card(*one, code, "redeem").map_err(refused))
                })
                .collect();
            let told: Vec<_> = cards.into_iter().map(|card| card.join().unwrap()).collect();
            assert_eq!(told.iter().filter(|told| told.is_ok()).count(), 1);
            assert!(
                told.iter().all(|told| told.as_ref().err().is_none_or(|error| *error == CreditError::CardRedeemed))
            );
        });
        let all = crm.credit_trial_balance().unwrap().currencies[&Currency::EUR];
        assert_eq!((all.balance, all.redeemed, all.on_cards, all.transferred), (500, 1_000, 0, 0));
    }
}

/// Who told a customer's story into the logs: an erasure's receipt says so, the first time and ever after.
#[test]
fn a_receipt_never_calls_gone_what_is_in_the_logs_of_postgresql() {
    let Some(server) = server() else { return };
    let url = server.url(&server.database());
    block_on(async {
        let store = Arc::new(PostgresStore::connect(&url, &PostgresOptions::default().lanes(16)).await.unwrap());
        let clock = Arc::new(ManualClock::at(day(1)));
        let name = || CardUpdate::new().name(crm::Name::new("Ana", "Silva").unwrap());
        for outside in [false, true] {
            let builder = Crm::builder().shared_store(Arc::clone(&store) as Arc<dyn Store>).clock(Arc::clone(&clock));
            let builder = if outside { builder.person_keys(drawer::Drawer::default()) } else { builder };
            let crm = builder.build().tenant(crm::TenantId::new(if outside { "outside" } else { "inside" }).unwrap());
            let values = if outside { Copies::Gone } else { Copies::UntilLogsExpire };
            let visit = |number| {
                let visit = crm::Visited { channel: Channel::Web, place: None };
                crm.record(Incoming::new(who(number), day(1), Source::new("shop").unwrap(), visit))
            };
            // Values, search tokens and an entry that waits.
            let ana = visit(1).await.unwrap().customer;
            crm.update_card(ana, name(), &Source::new("shop").unwrap(), day(1)).await.unwrap();
            let fields = [(crm::FieldName::new("to").unwrap(), crm::FieldValue::Text("Ana".into()))];
            let notify = || Command::Notify { topic: "mail".parse().unwrap(), fields: fields.clone().into() };
            crm.execute(ana, notify(), "tell").await.unwrap();
            // Only an entry, which was delivered before.
            let ben = visit(2).await.unwrap().customer;
            crm.execute(ben, notify(), "tell").await.unwrap();
            crm.deliver(day(2), |_: &crm::Delivery| crm::Delivered::Done).await.unwrap();
            // Nothing at all.
            let cleo = visit(3).await.unwrap().customer;
            for (customer, found) in [(ana, true), (ana, false), (ben, false), (cleo, false)] {
                let erased = crm.erase(customer).await.unwrap();
                assert_eq!(erased.fields + erased.tokens > 0, found, "{erased:?}");
                assert_eq!((erased.values, erased.copies), (values, Copies::UntilLogsExpire), "{outside}: {erased:?}");
            }
            // What a policy has go.
            let dora = visit(4).await.unwrap().customer;
            crm.update_card(dora, name(), &Source::new("shop").unwrap(), day(1)).await.unwrap();
            let names = crm::RetentionPolicy::forget(
                crm::Forget::card([crm::Field::Name]),
                crm::RetentionSince::FirstSeen,
                Span::days(5),
            );
            let policy = crm::RetentionName::new("names").unwrap();
            crm.define(day(1), Definition::Retention(policy, Some(names))).await.unwrap();
            crm.refresh().await.unwrap();
            clock.set(day(9));
            crm.advance(day(9)).await.unwrap();
            assert!(crm.card(dora).await.unwrap().name().is_none());
            let log = crm.audit_log(None, 100).await.unwrap().records;
            let last = log.last().unwrap();
            assert_eq!(last.entry.action().name(), "retention_applied");
            let told: Vec<String> = last.entry.details().map(|(name, told)| format!("{name}: {told:?}")).collect();
            // 1 stands for copies in logs: the values are still sealed under a key that lives on.
            assert!(told.contains(&"values: Int(1)".into()) && told.contains(&"copies: Int(1)".into()), "{told:?}");
            clock.set(day(1));
        }
    });
}
