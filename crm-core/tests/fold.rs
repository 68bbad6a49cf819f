//! Laws of the fold: the same facts and decisions give the same customer, however they arrived.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind among all")]

use crm_core::attribute::Attribute;
use crm_core::contract::{ContractEnded, ContractRef, ContractRenewed, ContractSigned};
use crm_core::custom::{CustomFact, KindName, KindSchema};
use crm_core::customer::{Customer, PointsGlance, PointsStep, STATE_SHAPE};
use crm_core::declared::{AttributeSet, DeclaredName, DeclaredValue};
use crm_core::event::{Decision, Deed, EventBody, Fact, Voided};
use crm_core::expression::{Comparison, Events, Happenings, Number, Predicate, Subject, Take};
use crm_core::identity::{
    Assurance, ExternalSystem, Identified, Identifier, IdentifierAttached, LookupKey, VerificationMethod,
};
use crm_core::interaction::{Channel, Enquired, Visited};
use crm_core::lifecycle::{IntentRules, LifecyclePolicy, OwnRhythm, Repeated, SegmentPolicy, Typical};
use crm_core::loyalty::report::PointsStanding;
use crm_core::loyalty::{Account, AwardPoints, PointsBook, Program, ProgramId, RedeemPoints, TierName};
use crm_core::messaging::MessageReceived;
use crm_core::order::{CartUpdated, OrderPlaced, OrderRef, PaymentReceived, Refunded};
use crm_core::profile::{Tagged, Untagged};
use crm_core::relationship::{Direction, Strength, TieKind, Tied, Untied};
use crm_core::segment::SegmentName;
use crm_core::service::{CaseClosed, CaseKind, CaseOpened, CaseOutcome, CaseRef, CaseReopened};
use crm_core::workflow::Actor;
use crm_core::{
    Currency, CustomerId, Definition, DefinitionVersion, Definitions, EventId, Money, Source, Span, Tag, TenantId,
    Timestamp,
};
use proptest::prelude::*;

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour * 3_600_000).unwrap()
}

fn program() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn definitions() -> Definitions {
    let mut definitions = Definitions::default();
    let mut add = |from, definition| definitions.add(DefinitionVersion { from, definition }).unwrap();
    let windows = |intent, quiet, own_rhythm| {
        Definition::Lifecycle(LifecyclePolicy {
            intent_fades_after: Span::days(intent),
            quiet_after: Span::days(quiet),
            own_rhythm,
            contract_grace: Span::days(2),
            ..LifecyclePolicy::default()
        })
    };
    let rhythm = |typical, gaps_min| OwnRhythm {
        typical,
        times_percent: 150,
        at_least: Span::days(1),
        at_most: Span::days(8),
        gaps_min,
    };
    add(hour(0), windows(3, 10, Some(rhythm(Typical::Median, 1))));
    let ends = KindSchema { ends_relation: true, ..KindSchema::default() };
    add(hour(0), Definition::Kind(KindName::new("closed").unwrap(), Some(ends)));
    add(hour(350), windows(2, 4, Some(rhythm(Typical::Mean, 2))));
    add(hour(600), windows(1, 5, None));
    let scheme = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(12));
    add(hour(0), Definition::Program(program(), Some(scheme.with_tier(TierName::new("gold").unwrap(), 40))));
    let segment = |name: &str, predicate| Definition::Segment(SegmentName::new(name).unwrap(), Some(predicate));
    add(hour(0), segment("busy", Predicate::orders_in_last(4, Comparison::Ge, 2)));
    let cases = Number::Over(Happenings::ever(Events::OpenCases(None)), Take::Count);
    add(hour(0), segment("waiting", Predicate::compare(cases, Comparison::Ge, 1)));
    let attribute = Number::DeclaredWhole(DeclaredName::new("a0").unwrap());
    add(hour(0), segment("told", Predicate::compare(attribute, Comparison::Ge, 1)));
    add(hour(0), segment("away", Predicate::compare(Attribute::RecencyDays, Comparison::Ge, 3)));
    add(
        hour(0),
        segment(
            "mixed",
            Predicate::Any(vec![
                Predicate::Not(Box::new(Predicate::missing(Attribute::RecencyDays))),
                Predicate::compare(Attribute::AgeDays, Comparison::Eq, 2),
                Predicate::tag(&Tag::new("t0").unwrap()),
            ]),
        ),
    );
    // Those who are in it go quiet and lose interest by other windows, and show it by other signs.
    let intent = IntentRules {
        enquiries: false,
        visits: Some(Repeated { count: 2, within: Span::days(2) }),
        ..IntentRules::default()
    };
    let policy = LifecyclePolicy { quiet_after: Span::days(4), intent, ..LifecyclePolicy::default() };
    let own = SegmentPolicy { segment: SegmentName::new("mixed").unwrap(), policy };
    add(hour(100), Definition::LifecycleSegments(vec![own]));
    definitions
}

/// Facts by number, with times close together and ids out of order.
fn fact() -> impl Strategy<Value = (i64, Fact)> {
    let eur = |minor: i64| Money::new(minor, Currency::EUR);
    let reference = |n: u8| OrderRef::new(format!("o{n}")).unwrap();
    let kind = prop_oneof![
        2 => Just(Fact::from(Visited { channel: Channel::Web, place: None })),
        1 => Just(Fact::from(Enquired { channel: Channel::Phone, subject: None })),
        1 => (0..3_u32).prop_map(|items| Fact::from(CartUpdated { items, value: None })),
        4 => (proptest::option::of(0..6_u8), 0..5_000_i64)
            .prop_map(move |(n, minor)| Fact::from(OrderPlaced { order: n.map(reference), ..OrderPlaced::new(eur(minor)) })),
        3 => (proptest::option::of(0..6_u8), 0..6_000_i64)
            .prop_map(move |(n, minor)| Fact::from(Refunded { order: n.map(reference), amount: eur(minor) })),
        1 => Just(Fact::from(CustomFact { kind: KindName::new("closed").unwrap(), fields: Default::default() })),
        1 => (0..5_000_i64).prop_map(move |minor| Fact::from(PaymentReceived { order: None, amount: eur(minor) })),
        1 => (0..2_u8).prop_map(|n| Fact::from(Tagged { tag: Tag::new(format!("t{n}")).unwrap() })),
        1 => (0..2_u8).prop_map(|n| Fact::from(Untagged { tag: Tag::new(format!("t{n}")).unwrap() })),
        2 => (0..3_u8, 0..3_u8).prop_map(|(n, assurance)| {
            let by = VerificationMethod::new("double_opt_in").unwrap();
            let assurance = [Assurance::Stated, Assurance::Vouched, Assurance::Verified { by }][usize::from(assurance)].clone();
            let erp = ExternalSystem::new("erp").unwrap();
            let identifier = Identifier::external(&erp, &n.to_string()).unwrap();
            let identified = Identified::presented(&LookupKey::public(), &TenantId::default(), &identifier.into());
            Fact::from(identified.assured(assurance))
        }),
        2 => (0..2_u8, proptest::option::weighted(0.8, 0..3_i64)).prop_map(|(n, number)| {
            let attribute = DeclaredName::new(format!("a{n}")).unwrap();
            Fact::from(AttributeSet { attribute, value: number.map(DeclaredValue::Whole) })
        }),
        1 => Just(Fact::from(MessageReceived { channel: Channel::Sms, subject: None })),
        4 => (0..3_u8, 0..4_u8).prop_map(|(n, what)| {
            let case = CaseRef::new(format!("c{n}")).unwrap();
            match what {
                0 => CaseOpened { case, kind: CaseKind::Fault, topic: None }.into(),
                1 => CaseOpened { case, kind: CaseKind::Other, topic: None }.into(),
                2 => CaseClosed { case, outcome: CaseOutcome::Withdrawn }.into(),
                _ => CaseReopened { case, reason: None }.into(),
            }
        }),
        2 => (0..2_u8, 0..1_001_u16).prop_map(|(n, per_mille)| {
            let strength = Strength::new(per_mille).unwrap();
            Fact::from(Tied { other: somebody(n), kind: TieKind::Follows, direction: Direction::Incoming, strength })
        }),
        1 => (0..2_u8).prop_map(|n| {
            Fact::from(Untied { other: somebody(n), kind: TieKind::Follows, direction: Direction::Incoming })
        }),
        2 => (0..2_u8, proptest::option::of(0..900_i64)).prop_map(move |(n, ends)| {
            let (ends, value) = (ends.map(hour), Some(eur(100)));
            Fact::from(ContractSigned { contract: contract(n), starts: None, ends, value })
        }),
        2 => (0..2_u8, proptest::option::of(0..900_i64)).prop_map(|(n, ends)| {
            Fact::from(ContractRenewed { contract: contract(n), ends: ends.map(hour), value: None })
        }),
        1 => (0..2_u8, proptest::option::of(0..900_i64)).prop_map(|(n, from)| {
            Fact::from(ContractEnded { contract: contract(n), from: from.map(hour), reason: None })
        }),
        2 => (0..40_usize).prop_map(|n| Fact::from(Voided { event: id(n), reason: None })),
    ];
    (0..900_i64, kind)
}

fn contract(n: u8) -> ContractRef {
    ContractRef::new(format!("c{n}")).unwrap()
}

/// The id of the n-th fact of a case.
fn id(n: usize) -> EventId {
    EventId::of_fact(&TenantId::default(), &Source::new("test").unwrap(), &n.to_string())
}

fn somebody(n: u8) -> CustomerId {
    CustomerId::new(hour(0), [n; 10])
}

fn customer_id() -> CustomerId {
    CustomerId::new(hour(0), [7; 10])
}

type Stored = (EventId, Timestamp, EventBody);

fn stored(facts: &[(i64, Fact)]) -> Vec<Stored> {
    facts.iter().enumerate().map(|(n, (at, fact))| (id(n), hour(*at), EventBody::Fact(fact.clone()))).collect()
}

fn replayed(events: &[Stored], until: Timestamp, definitions: &Definitions) -> Customer {
    Customer::replay(
        customer_id(),
        events.iter().map(|(id, at, body)| (customer_id(), *id, *at, body)),
        until,
        definitions,
    )
}

/// Takes facts in one by one as they come, folding anew only where that is called for.
fn arrived(events: &[Stored], until: Timestamp, definitions: &Definitions) -> Customer {
    let mut customer = Customer::new(customer_id());
    let mut moves = Vec::new();
    for (n, (id, at, body)) in events.iter().enumerate() {
        let EventBody::Fact(fact) = body else { continue };
        if customer.facts().takes(*id, *at, fact) {
            customer.fold_fact(customer_id(), *id, *at, fact, definitions, &mut moves);
        } else {
            let known = events[..=n].iter().filter_map(|(id, at, body)| match body {
                EventBody::Fact(fact) => Some((customer_id(), *id, *at, fact)),
                _ => None,
            });
            customer.refold(known, *at, definitions);
        }
    }
    customer.elapse(until, &mut moves);
    customer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any order of arrival gives the same customer, and so does folding anew.
    #[test]
    fn the_order_of_arrival_does_not_matter(facts in proptest::collection::vec(fact(), 0..40), order in any::<u64>()) {
        let definitions = definitions();
        let until = hour(1_000);
        let events = stored(&facts);
        let mut shuffled = events.clone();
        let mut state = order;
        for n in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(n, (state >> 33) as usize % (n + 1));
        }
        let expected = replayed(&events, until, &definitions);
        prop_assert_eq!(&replayed(&shuffled, until, &definitions), &expected);
        prop_assert_eq!(replayed(&shuffled, until, &definitions).digest(), expected.digest());
        let one_by_one = arrived(&shuffled, until, &definitions);
        prop_assert_eq!(one_by_one.facts(), expected.facts());
        let in_order_sent = arrived(&events, until, &definitions);
        prop_assert_eq!(in_order_sent.facts(), expected.facts());
    }

    /// The last word about a tie holds, whatever was voided.
    #[test]
    fn the_last_word_about_a_tie_holds(facts in proptest::collection::vec(fact(), 0..40)) {
        let customer = replayed(&stored(&facts), hour(1_000), &definitions());
        let mut words: Vec<_> = facts.iter().enumerate().map(|(n, (at, fact))| (hour(*at), id(n), fact)).collect();
        words.sort_unstable_by_key(|(at, id, _)| (*at, *id));
        for n in 0..2 {
            let last = words.iter().rev().find_map(|(_, _, fact)| match fact {
                Fact::Tied(tied) if tied.other == somebody(n) => Some(Some(tied.strength)),
                Fact::Untied(untied) if untied.other == somebody(n) => Some(None),
                _ => None,
            });
            let seen = customer.ties().find(|tie| tie.other == somebody(n)).map(|tie| tie.strength);
            prop_assert_eq!(seen, last.flatten());
        }
    }

    /// A state that was written and read is the same state.
    #[test]
    fn a_state_survives_being_stored(facts in proptest::collection::vec(fact(), 0..40)) {
        let customer = replayed(&stored(&facts), hour(1_000), &definitions());
        let read = Customer::decode(crm_core::customer::STATE_SHAPE, &customer.encode(), &customer.sets(), &definitions()).unwrap();
        prop_assert_eq!(read, customer);
    }

    /// An event that was written and read is the same event.
    #[test]
    fn an_event_survives_being_stored(facts in proptest::collection::vec(fact(), 0..20)) {
        for (_, _, body) in stored(&facts) {
            prop_assert_eq!(EventBody::decode(&body.kind(), body.shape(), &body.encode()).unwrap(), body);
        }
    }

    /// No segment changes its mind between now and the instant that it named, and some do then.
    #[test]
    fn a_segment_knows_when_it_will_change_its_mind(facts in proptest::collection::vec(fact(), 1..30), now in 900..1_100_i64) {
        let definitions = definitions();
        let customer = replayed(&stored(&facts), hour(now), &definitions);
        for (name, predicate) in definitions.segments(hour(now)) {
            let holds = |at| predicate.holds(&Subject::new(&customer, at, &definitions));
            let next = predicate.next_change(&Subject::new(&customer, hour(now), &definitions));
            prop_assert!(next.is_none_or(|next| next > hour(now)));
            for later in now..now + 24 * 20 {
                if next.is_some_and(|next| hour(later) >= next) {
                    break;
                }
                prop_assert_eq!(holds(hour(later)), holds(hour(now)), "{} at {} of {:?}", name, later - now, next);
            }
        }
    }

    /// Whatever happens to points, the books balance and no lot goes below nothing.
    #[test]
    fn the_books_balance(steps in proptest::collection::vec((0..4_u8, 1..200_i64, 0..600_i64), 0..60)) {
        let definitions = definitions();
        let mut customer = Customer::new(customer_id());
        let mut moves = Vec::new();
        let mut ledger = std::collections::BTreeMap::<Account, i128>::new();
        let mut at = hour(0);
        for (n, (what, amount, wait)) in steps.into_iter().enumerate() {
            at = at.plus(Span::millis(wait as u64 * 3_600_000));
            for step in PointsStep::ALL {
                for (_, deed) in customer.points_due(step, at, &definitions) {
                    post(&mut customer, &mut ledger, deed);
                }
            }
            let euros = Money::new(amount * 100, Currency::EUR);
            let fact = match what {
                0 => Some(Fact::from(OrderPlaced::new(euros))),
                1 => Some(Fact::from(Refunded { order: None, amount: euros })),
                _ => None,
            };
            if let Some(fact) = fact {
                let touched = customer.fold_fact(customer_id(), id(n), at, &fact, &definitions, &mut moves);
                for (_, posting) in customer.reconcile_points(touched, &[], &definitions) {
                    post(&mut customer, &mut ledger, Deed::PointsPosted(posting));
                }
            } else {
                let reason = "test".parse().unwrap();
                let command = if what == 2 {
                    crm_core::customer::Command::RedeemPoints(RedeemPoints { program: program(), points: amount, reason, order: None, total: None })
                } else {
                    crm_core::customer::Command::AwardPoints(AwardPoints { program: program(), points: amount, reason })
                };
                for deed in command.decide(&customer, customer_id(), at, &definitions).unwrap_or_default() {
                    post(&mut customer, &mut ledger, deed);
                }
            }
            check(&customer, &ledger, at)?;
        }
    }
}

fn post(customer: &mut Customer, ledger: &mut std::collections::BTreeMap<Account, i128>, deed: Deed) {
    if let Deed::PointsPosted(posting) = &deed {
        let entries: Vec<(Account, i128)> = posting.entries().collect();
        assert_eq!(entries.iter().map(|(_, points)| points).sum::<i128>(), 0);
        for (account, points) in entries {
            *ledger.entry(account).or_default() += points;
        }
    }
    customer.apply_decision_of(customer_id(), hour(0), &Decision { by: crm_core::workflow::Actor::Rule, deed });
}

fn check(
    customer: &Customer,
    ledger: &std::collections::BTreeMap<Account, i128>,
    at: Timestamp,
) -> Result<(), TestCaseError> {
    let empty = PointsBook::default();
    let book = customer.book(&program()).unwrap_or(&empty);
    let account = |account| ledger.get(&account).copied().unwrap_or(0);
    let in_lots: i128 = book.lots().iter().map(|lot| i128::from(lot.left())).sum();
    prop_assert_eq!(book.pending(), account(Account::CustomerPending));
    prop_assert_eq!(book.held(), account(Account::CustomerHeld));
    prop_assert_eq!(book.balance(), account(Account::CustomerActive) - i128::from(book.owed()));
    prop_assert_eq!(-i128::from(book.owed()), account(Account::CustomerDebt));
    prop_assert_eq!(book.totals().outstanding(), in_lots - i128::from(book.owed()));
    // A state tells it before it is read, and what is damaged or cut off is an error and no panic.
    let state = customer.encode();
    let standing = PointsStanding {
        pending: account(Account::CustomerPending),
        active: account(Account::CustomerActive),
        held: account(Account::CustomerHeld),
        owed: -account(Account::CustomerDebt),
    };
    prop_assert_eq!(book.standing(), standing);
    let glance = |bytes: &[u8], program: &ProgramId| Customer::points_at_a_glance(STATE_SHAPE, bytes, program);
    prop_assert_eq!(glance(&state, &program()), Ok(PointsGlance::Own(standing)));
    let other = ProgramId::new("other").unwrap();
    prop_assert_eq!(glance(&state, &other), Ok(PointsGlance::Own(PointsStanding::default())));
    (0..state.len().min(64)).for_each(|cut| drop(glance(&state[..cut], &program())));
    prop_assert!(glance(&state[..16], &program()).is_err());
    prop_assert!(Customer::points_at_a_glance(STATE_SHAPE - 1, &state, &program()).is_err());
    prop_assert_eq!(book.totals().earned, -account(Account::Issued));
    prop_assert_eq!(book.totals().spent, account(Account::Redeemed));
    prop_assert_eq!(book.totals().reversed, account(Account::Reversed));
    prop_assert_eq!(book.totals().expired, account(Account::Expired));
    prop_assert!(book.lots().iter().all(|lot| lot.left() > 0));
    prop_assert!(book.owed() >= 0 && (book.owed() == 0 || account(Account::CustomerActive) == 0));
    // What orders are entitled to is what they were given and not taken back; awards come on top. All cost whole euros.
    let entitled: i64 = customer.facts().orders().list().iter().map(|order| order.net_minor() / 100).sum();
    prop_assert!(book.qualifying() >= i128::from(entitled), "at {}", at);
    Ok(())
}

#[test]
fn what_a_customer_merely_stated_is_kept_apart_until_somebody_answers_for_it() {
    let key = LookupKey::public();
    let email = Identifier::email("ana@example.com").unwrap();
    let erp = Identifier::external(&ExternalSystem::new("erp").unwrap(), "7").unwrap();
    let told = |identifier: &Identifier, assurance| {
        let presented = identifier.clone().into();
        let identified = Identified::presented(&key, &TenantId::default(), &presented).assured(assurance);
        Fact::from(identified)
    };
    let by = VerificationMethod::new("double_opt_in").unwrap();
    let stated = [(5, told(&email, Assurance::Stated)), (6, told(&erp, Assurance::Vouched))];
    let definitions = Definitions::default();
    let customer = replayed(&stored(&stated), hour(9), &definitions);
    let hash = |identifier| key.hash(&TenantId::default(), identifier);
    assert_eq!(customer.identifiers().collect::<Vec<_>>(), [&hash(&erp)]);
    assert_eq!(customer.stated_identifiers().collect::<Vec<_>>(), [&hash(&email)]);
    let summary = customer.summary();
    assert_eq!(summary.identifiers.len(), 1);
    assert_eq!(
        (summary.identifiers[0].since, summary.identifiers[0].scope),
        (hour(6), key.scope(&TenantId::default(), &erp))
    );

    let verified = [stated.as_slice(), &[(8, told(&email, Assurance::Verified { by }))]].concat();
    let mut customer = replayed(&stored(&verified), hour(9), &definitions);
    assert_eq!((customer.identifiers().count(), customer.stated_identifiers().count()), (2, 0));
    let seen = customer.facts().seen(&hash(&email)).unwrap();
    assert_eq!((seen.first, seen.last, seen.assured_at), (hour(5), hour(8), hour(8)));

    // What is attached by us counts as well, and a statement beside it takes nothing away.
    let phone = Identifier::phone("+4930901820").unwrap();
    for assurance in [Assurance::Stated, Assurance::Vouched, Assurance::Stated] {
        let attached = IdentifierAttached { at: Some(hour(9)), assurance, ..IdentifierAttached::new(hash(&phone)) };
        let deed = Deed::IdentifierAttached(attached);
        customer.apply_decision_of(customer_id(), hour(0), &Decision { by: Actor::Rule, deed });
    }
    assert_eq!((customer.identifiers().count(), customer.stated_identifiers().count()), (3, 0));
    assert!(customer.summary().identifiers.iter().any(|held| held.key == hash(&phone) && held.since == hour(9)));
}
