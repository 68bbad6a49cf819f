//! Laws of merging: in whatever order several become one it is the same customer, and parting gives each back
//! what was theirs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use crm_core::attribute::Attribute;
use crm_core::contract::{ContractEnded, ContractRef, ContractRenewed, ContractSigned};
use crm_core::credit::{CaptureCredit, CreditHoldName, GrantCredit, HoldCredit, SpendCredit};
use crm_core::customer::{Command, Customer, PointsGlance, PointsStep};
use crm_core::event::{Decision, Deed, EventBody, Fact, Voided};
use crm_core::expression::{Comparison, Predicate};
use crm_core::identity::{ExternalSystem, Identified, Identifier, LookupKey};
use crm_core::interaction::{Channel, Visited};
use crm_core::loyalty::report::PointsStanding;
use crm_core::loyalty::{
    AwardPoints, Benefit, CaptureHold, ClaimCoupon, ClaimReward, Coupon, CouponCode, HoldName, HoldPoints, PointsBook,
    PostingKind, Program, ProgramId, RedeemCoupon, RedeemPoints, ReleaseCoupon, ReleaseHold, ReserveCoupon, Reward,
    RewardGives, RewardName,
};
use crm_core::order::{OrderPlaced, OrderRef, PaymentReceived, Refunded};
use crm_core::profile::{Tagged, Untagged};
use crm_core::segment::{Enlisted, ListName, Override, OverrideCleared, OverrideSegment, SegmentName, Unlisted};
use crm_core::workflow::{Actor, PluginName, PluginStamp, Remembered};
use crm_core::{
    Currency, CustomerId, Definition, DefinitionVersion, Definitions, Digest, EventId, Money, Source, Span, Tag,
    TenantId, Timestamp,
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
    let scheme = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(30));
    let definition = Definition::Program(program(), Some(scheme));
    definitions.add(DefinitionVersion { from: hour(0), definition }).unwrap();
    let ten_off = Coupon::new(Benefit::PercentOff(10)).with_each(3);
    let definition = Definition::Coupon(coupon(), Some(Box::new(ten_off)));
    definitions.add(DefinitionVersion { from: hour(0), definition }).unwrap();
    let gives = RewardGives::Voucher { coupon: coupon(), lasts: None };
    let definition = Definition::Reward(mug(), Some(Box::new(Reward::new(program(), 30, gives))));
    definitions.add(DefinitionVersion { from: hour(0), definition }).unwrap();
    let rich = Predicate::compare(Attribute::Spend, Comparison::Gt, 5_000);
    let definition = Definition::Segment(vip(), Some(rich));
    definitions.add(DefinitionVersion { from: hour(0), definition }).unwrap();
    definitions
}

fn coupon() -> CouponCode {
    CouponCode::new("spring").unwrap()
}

fn mug() -> RewardName {
    RewardName::new("mug").unwrap()
}

fn vip() -> SegmentName {
    SegmentName::new("vip").unwrap()
}

fn list(n: u8) -> ListName {
    ListName::new(format!("l{n}")).unwrap()
}

fn member(n: usize) -> CustomerId {
    CustomerId::new(hour(0), [n as u8; 10])
}

fn tag(n: u8) -> Tag {
    Tag::new(format!("t{n}")).unwrap()
}

const PROOF: &str = r#"{"method":"form","wording":{"version":"1","sha256":"0000000000000000000000000000000000000000000000000000000000000000","locale":"de"},"collected_by":"web"}"#;

/// What is told besides, of every other area of a customer's file, in the words in which it is stored.
const TOLD: [(&str, &str); 30] = [
    ("enquired", r#"{"channel":"phone","subject":"a bicycle"}"#),
    ("cart_updated", r#"{"items":2,"value":{"minor":1050,"currency":"EUR"}}"#),
    ("cart_updated", r#"{"items":0}"#),
    ("message_received", r#"{"channel":"sms"}"#),
    ("case_opened", r#"{"case":"C-1","kind":"complaint"}"#),
    ("case_opened", r#"{"case":"C-2","kind":"complaint"}"#),
    ("case_closed", r#"{"case":"C-1","outcome":"resolved"}"#),
    ("case_reopened", r#"{"case":"C-1"}"#),
    ("attribute_set", r#"{"attribute":"shoe_size","value":{"whole":42}}"#),
    ("attribute_set", r#"{"attribute":"shoe_size","value":{"whole":43}}"#),
    ("attribute_set", r#"{"attribute":"shoe_size"}"#),
    ("attribute_set", r#"{"attribute":"home store","value":{"text":"Basel"}}"#),
    ("consent_given", r#"{"purpose":"marketing","channel":"email","basis":"consent","proof":@}"#),
    ("consent_given", r#"{"purpose":"marketing","channel":"email","scope":"brand.a","basis":"consent","proof":@}"#),
    ("consent_given", r#"{"purpose":"marketing","channel":"sms","basis":"consent","proof":@,"expires_at":360000000}"#),
    ("consent_refused", r#"{"purpose":{"one":"marketing"},"channel":{"one":"sms"},"how":"call"}"#),
    ("consent_withdrawn", r#"{"purpose":{"one":"marketing"},"channel":{"one":"email"},"how":"one_click"}"#),
    ("consent_withdrawn", r#"{"purpose":"all","channel":{"one":"sms"},"how":"reply"}"#),
    ("contacted", r#"{"purpose":"marketing","channel":"email"}"#),
    ("restricted", r#"{"reason":"accuracy contested"}"#),
    ("restriction_lifted", "{}"),
    ("objected", r#"{"to":"marketing"}"#),
    ("objected", r#"{"to":"profiling"}"#),
    ("objection_withdrawn", r#"{"to":"marketing"}"#),
    ("order_delivered", r#"{"order":"o1"}"#),
    (
        "tied",
        r#"{"other":"018cc251-f400-7000-8000-000000000000","kind":"household","direction":"mutual","strength":1000}"#,
    ),
    ("untied", r#"{"other":"018cc251-f400-7000-8000-000000000000","kind":"household","direction":"mutual"}"#),
    ("identified", r#"{"identifier":{"kind":"email","hash":"000102030405060708090a0b0c0d0e0f"}}"#),
    ("card_changed", r#"{"fields":["name"]}"#),
    ("party_described", r#"{"kind":"person","key_customer":true,"roles":["consumer"],"memberships":[]}"#),
];

fn told(n: usize) -> Fact {
    let (kind, words) = TOLD[n];
    match EventBody::decode(kind, 1, words.replace('@', PROOF).as_bytes()).unwrap() {
        EventBody::Fact(fact) => fact,
        other @ (EventBody::Decision(_) | EventBody::Unrecognised { .. }) => panic!("{kind} is no fact: {other:?}"),
    }
}

/// What happens to a member: a fact, or a command.
#[derive(Debug, Clone)]
enum Step {
    Fact(Fact),
    Command(Command),
    Remember(u8),
}

fn step() -> impl Strategy<Value = (usize, i64, Step)> {
    let eur = |minor: i64| Money::new(minor, Currency::EUR);
    let reference = |n: u8| OrderRef::new(format!("o{n}")).unwrap();
    let fact = prop_oneof![
        2 => Just(Fact::from(Visited { channel: Channel::Web, place: None })),
        4 => (proptest::option::of(0..6_u8), 0..9_000_i64)
            .prop_map(move |(n, minor)| Fact::from(OrderPlaced { order: n.map(reference), ..OrderPlaced::new(eur(minor)) })),
        2 => (proptest::option::of(0..6_u8), 0..6_000_i64)
            .prop_map(move |(n, minor)| Fact::from(Refunded { order: n.map(reference), amount: eur(minor) })),
        1 => (0..5_000_i64).prop_map(move |minor| Fact::from(PaymentReceived { order: None, amount: eur(minor) })),
        1 => (0..3_u8).prop_map(|n| Fact::from(Tagged { tag: tag(n) })),
        1 => (0..3_u8).prop_map(|n| Fact::from(Untagged { tag: tag(n) })),
        1 => (0..3_u8).prop_map(|n| Fact::from(Enlisted { list: list(n) })),
        1 => (0..3_u8).prop_map(|n| Fact::from(Unlisted { list: list(n) })),
        1 => (0..3_u8).prop_map(|n| {
            let identifier = Identifier::external(&ExternalSystem::new("erp").unwrap(), &n.to_string()).unwrap();
            Fact::from(Identified::new(LookupKey::public().hash(&TenantId::default(), &identifier)))
        }),
        2 => (0..3_u8, 0..3_u8, 0..900_i64).prop_map(move |(n, kind, ends)| {
            let contract = ContractRef::new(format!("c{n}")).unwrap();
            let ends = Some(hour(ends));
            match kind {
                0 => Fact::from(ContractSigned { contract, starts: None, ends, value: Some(eur(100)) }),
                1 => Fact::from(ContractRenewed { contract, ends, value: None }),
                _ => Fact::from(ContractEnded { contract, from: None, reason: None }),
            }
        }),
        6 => (0..TOLD.len()).prop_map(told),
        1 => (0..30_usize).prop_map(|n| Fact::from(Voided { event: fact_id(n), reason: None })),
    ];
    let reason = || "test".parse().unwrap();
    let command = prop_oneof![
        3 => (1..120_i64).prop_map(move |points| Command::RedeemPoints(RedeemPoints { program: program(), points, reason: reason(), order: None, total: None })),
        2 => (1..120_i64).prop_map(move |points| Command::AwardPoints(AwardPoints { program: program(), points, reason: reason() })),
        2 => (0..4_u8, 1..120_i64).prop_map(move |(what, minor)| {
            let (amount, hold) = (Money::new(minor, Currency::EUR), CreditHoldName::new("h").unwrap());
            match what {
                0 => GrantCredit { amount, reason: reason(), expires_at: None }.into(),
                1 => SpendCredit { amount, order: None }.into(),
                2 => HoldCredit { hold, amount, until: hour(9_000), order: None }.into(),
                _ => CaptureCredit { hold, amount: None }.into(),
            }
        }),
        2 => (0..3_u8, 1..60_i64).prop_map(move |(what, points)| {
            let (program, hold) = (program(), HoldName::new("h").unwrap());
            match what {
                0 => Command::HoldPoints(HoldPoints { program, points, hold, until: None }),
                1 => Command::CaptureHold(CaptureHold { program, hold, points: None, reason: reason(), order: None }),
                _ => Command::ReleaseHold(ReleaseHold { program, hold }),
            }
        }),
        1 => (0..3_u8).prop_map(|n| Command::AddTag(tag(n))),
        1 => (0..3_u8).prop_map(|n| Command::RemoveTag(tag(n))),
        1 => any::<bool>().prop_map(|is_in| {
            let to = if is_in { Override::In } else { Override::Out };
            Command::OverrideSegment(OverrideSegment::new(vip(), to))
        }),
        1 => Just(Command::ClearOverride(OverrideCleared { segment: vip(), by: None, reason: None })),
        1 => (0..3_u8).prop_map(|n| Command::ClaimCoupon(ClaimCoupon { coupon: format!("c{n}").parse().unwrap(), uses: 100 })),
        2 => (0..4_u8, 0..80_i64).prop_map(|(n, until)| {
            let (coupon, name) = (coupon(), format!("u{n}").parse().unwrap());
            Command::ReserveCoupon(ReserveCoupon { coupon, name, expires_at: hour(until), voucher: None })
        }),
        2 => (0..4_u8).prop_map(|n| {
            let (coupon, name) = (coupon(), format!("u{n}").parse().unwrap());
            Command::RedeemCoupon(RedeemCoupon { coupon, name, order: None, voucher: None })
        }),
        1 => (0..4_u8).prop_map(|n| {
            Command::ReleaseCoupon(ReleaseCoupon { coupon: coupon(), name: format!("u{n}").parse().unwrap() })
        }),
        2 => Just(Command::ClaimReward(ClaimReward { reward: mug() })),
    ];
    let what = prop_oneof![
        5 => fact.prop_map(Step::Fact),
        4 => command.prop_map(Step::Command),
        1 => any::<u8>().prop_map(Step::Remember),
    ];
    (0..3_usize, 0..40_i64, what)
}

fn fact_id(n: usize) -> EventId {
    EventId::of_fact(&TenantId::default(), &Source::new("test").unwrap(), &n.to_string())
}

type Stored = (CustomerId, EventId, Timestamp, EventBody);

/// Histories, and the customers that are the fold of them.
#[derive(Debug, Clone)]
struct World {
    definitions: Definitions,
    events: Vec<Stored>,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        World { definitions: definitions(), events: Vec::new(), now: hour(0) }
    }

    fn facts<'a>(
        &'a self,
        of: &'a [CustomerId],
    ) -> impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a Fact)> + Clone {
        self.events.iter().filter_map(move |(member, id, at, body)| match body {
            EventBody::Fact(fact) if of.contains(member) => Some((*member, *id, *at, fact)),
            EventBody::Fact(_) | EventBody::Decision(_) | EventBody::Unrecognised { .. } => None,
        })
    }

    fn replay(&self, head: CustomerId, members: &[CustomerId]) -> Customer {
        let own = self.events.iter().filter(|(member, ..)| members.contains(member));
        let own = own.map(|(member, id, at, body)| (*member, *id, *at, body));
        Customer::replay(head, own, self.now, &self.definitions)
    }

    fn decide(&mut self, customer: &mut Customer, member: CustomerId, by: Actor, deed: Deed) {
        let id = EventId::of_decision(member, customer.decisions_of(member));
        let decision = Decision { by, deed };
        customer.apply_decision_of(member, self.now, &decision);
        self.events.push((member, id, self.now, EventBody::Decision(decision)));
    }

    /// What the engine does with a fact or a command that comes through a member.
    fn step(&mut self, customer: &mut Customer, through: CustomerId, n: usize, wait: i64, step: &Step) {
        self.now = hour(self.now.as_millis() / 3_600_000 + wait);
        let mut moves = Vec::new();
        customer.elapse(self.now, &mut moves);
        for due in PointsStep::ALL {
            for (member, deed) in customer.points_due(due, self.now, &self.definitions) {
                self.decide(customer, member, Actor::Rule, deed);
            }
        }
        match step {
            Step::Fact(fact) => {
                let id = fact_id(n);
                self.events.push((through, id, self.now, EventBody::Fact(fact.clone())));
                if customer.facts().takes(id, self.now, fact) {
                    customer.fold_fact(through, id, self.now, fact, &self.definitions, &mut moves);
                } else {
                    let members: Vec<CustomerId> = customer.members().collect();
                    customer.refold(self.facts(&members), self.now, &self.definitions);
                }
                for (member, posting) in
                    customer.reconcile_points(crm_core::customer::OrdersTouched::Gone, &[], &self.definitions)
                {
                    self.decide(customer, member, Actor::Rule, Deed::PointsPosted(posting));
                }
            }
            Step::Command(command) => {
                let deeds = command.clone().decide(customer, through, self.now, &self.definitions).unwrap_or_default();
                for deed in deeds {
                    for (member, deed) in customer.share(deed, through) {
                        self.decide(customer, member, Actor::Shop, deed);
                    }
                }
            }
            Step::Remember(byte) => {
                let by = Actor::Plugin(PluginStamp {
                    name: PluginName::new("plugin").unwrap(),
                    version: "1".into(),
                    digest: Digest::of(b""),
                });
                for (member, deed) in
                    customer.share(Deed::Remembered(Remembered { memory: vec![*byte], from: None }), through)
                {
                    self.decide(customer, member, by.clone(), deed);
                }
            }
        }
    }

    fn merge(&self, one: &Customer, other: &Customer) -> Customer {
        let members: Vec<CustomerId> = one.members().chain(other.members()).collect();
        let head = members.iter().copied().min().unwrap();
        let facts = self.facts(&members);
        let mut merged = one.clone().merge(other.clone(), head, self.now, facts, &self.definitions).unwrap();
        let cause = crm_core::change::Cause::Definition;
        merged.derive(self.now, cause, &mut Vec::new(), &self.definitions, &mut Vec::new());
        merged
    }
}

/// Three customers, each with a history of their own.
fn three(steps: &[(usize, i64, Step)]) -> (World, [Customer; 3]) {
    let mut world = World::new();
    let mut customers = [0, 1, 2].map(|n| Customer::new(member(n)));
    for (n, customer) in customers.iter_mut().enumerate() {
        let visit = Step::Fact(Fact::from(Visited { channel: Channel::Web, place: None }));
        world.step(customer, member(n), 200 + n, 0, &visit);
    }
    for (n, (who, wait, step)) in steps.iter().enumerate() {
        let through = member(*who);
        world.step(&mut customers[*who], through, n, *wait, step);
    }
    // All stand at the same instant.
    let now = world.now;
    for (n, customer) in customers.iter_mut().enumerate() {
        *customer = world.replay(member(n), &[member(n)]);
        customer.elapse(now, &mut Vec::new());
    }
    (world, customers)
}

/// What somebody has, of which some may be held.
fn balance(customer: &Customer) -> i128 {
    customer.book(&program()).map_or(0, |book| book.balance() + book.held())
}

/// What is held of a customer's points is what their holds say.
fn is_held(customer: &Customer) -> bool {
    customer
        .book(&program())
        .is_none_or(|book| book.held() == book.holds().map(|(_, hold)| i128::from(hold.points())).sum::<i128>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn in_whatever_order_customers_are_merged_they_are_the_same_one(steps in proptest::collection::vec(step(), 0..24)) {
        let (world, [a, b, c]) = three(&steps);
        let ab = world.merge(&a, &b);
        prop_assert_eq!(ab.digest(), world.merge(&b, &a).digest());
        prop_assert_eq!(world.merge(&a, &a).digest(), world.replay(a.id(), &[a.id()]).digest());
        prop_assert_eq!(world.merge(&ab, &a).digest(), ab.digest());
        let abc = world.merge(&ab, &c);
        prop_assert_eq!(abc.digest(), world.merge(&a, &world.merge(&b, &c)).digest());
        prop_assert_eq!(abc.digest(), world.merge(&world.merge(&c, &a), &b).digest());
        // And it is the fold of all histories.
        prop_assert_eq!(abc.digest(), world.replay(a.id(), &[a.id(), b.id(), c.id()]).digest());
        let credit = |customer: &Customer| customer.credit_in(Currency::EUR).map_or(0, |book| book.balance() + book.held());
        prop_assert_eq!(credit(&abc), credit(&a) + credit(&b) + credit(&c));
        // Nothing is lost or made.
        prop_assert_eq!(balance(&abc), balance(&a) + balance(&b) + balance(&c));
        for customer in [&a, &b, &c] {
            prop_assert!(customer.tags().all(|tag| abc.has_tag(tag) || customer.facts().tags().any(|own| own == tag)));
            prop_assert!(customer.identifiers().all(|own| abc.identifiers().any(|other| other == own)
                || customer.facts().identifiers().any(|told| told == own)));
        }
    }

    #[test]
    fn parting_gives_each_what_was_theirs_and_what_came_through_them(
        before in proptest::collection::vec(step(), 0..16),
        during in proptest::collection::vec(step(), 0..16),
    ) {
        let (mut world, [a, b, c]) = three(&before);
        let mut merged = world.merge(&world.merge(&a, &b), &c);
        for (n, (who, wait, step)) in during.iter().enumerate() {
            world.step(&mut merged, member(*who), 100 + n, *wait, step);
        }
        let state = Customer::decode(crm_core::customer::STATE_SHAPE, &merged.encode(), &merged.sets(), &world.definitions).unwrap();
        prop_assert_eq!(&state, &merged);
        // The points of all of them are told by the state of the one they go on as, and by those of the others where to look.
        let glance = |customer: &Customer| Customer::points_at_a_glance(crm_core::customer::STATE_SHAPE, &customer.encode(), &program());
        let standing: PointsStanding = merged.book(&program()).map(PointsBook::standing).unwrap_or_default();
        prop_assert_eq!(glance(&merged), Ok(PointsGlance::Own(standing)));
        prop_assert_eq!(glance(&Customer::alias(b.id(), merged.id())), Ok(PointsGlance::Of(merged.id())));
        let total = balance(&merged);
        // What each earned and spent: whose lots were taken does not matter.
        let spent_by = |who: CustomerId| -> i128 {
            world.events.iter().filter_map(|(of, _, _, body)| match body {
                EventBody::Decision(Decision { deed: Deed::PointsPosted(posting), .. }) => Some((of, posting)),
                EventBody::Decision(_) | EventBody::Fact(_) | EventBody::Unrecognised { .. } => None,
            }).map(|(of, posting)| {
                let spender = posting.spent_by.unwrap_or(*of);
                let spends = matches!(posting.kind, PostingKind::Spent { .. } | PostingKind::Captured { .. });
                let whose = if spends { spender } else { *of };
                if whose == who { posting.points() } else { 0 }
            }).sum()
        };
        let expected = [0, 1, 2].map(|n| spent_by(member(n)));
        let leaving = merged.side_of(b.id(), a.id()).unwrap();
        prop_assert_eq!(&leaving, &vec![b.id()]);
        let settlements = merged.settlements(&leaving);
        prop_assert_eq!(settlements.iter().map(|(_, posting)| posting.points()).sum::<i128>(), 0);
        for (_, posting) in &settlements {
            prop_assert_eq!(posting.entries().map(|(_, points)| points).sum::<i128>(), 0);
        }
        prop_assert!(is_held(&merged));
        let clock = merged.clock();
        let [left, stayed] = merged.part(&leaving);
        let of_side = |side, members: &[CustomerId]| {
            let facts = world.facts(members);
            let standing = Default::default();
            Customer::of_side(side, members[0], clock, Vec::new(), standing, None, facts, &world.definitions)
        };
        let mut left = of_side(left, &[b.id()]);
        let mut stayed = of_side(stayed, &[a.id(), c.id()]);
        for (of, posting) in settlements {
            let side = if left.is(of) { &mut left } else { &mut stayed };
            side.apply_decision_of(of, hour(0), &Decision { by: Actor::Rule, deed: Deed::PointsPosted(posting) });
        }
        prop_assert_eq!(balance(&left), expected[1]);
        prop_assert_eq!(balance(&stayed), expected[0] + expected[2]);
        prop_assert_eq!(balance(&left) + balance(&stayed), total);
        prop_assert!([&left, &stayed].into_iter().all(is_held));
        prop_assert!(!left.is_merged() && stayed.is_merged());
        for customer in [&left, &stayed] {
            let members: Vec<CustomerId> = customer.members().collect();
            let alone = world.replay(customer.id(), &members);
            prop_assert_eq!(alone.facts(), customer.facts());
            prop_assert_eq!(alone.tags().collect::<Vec<_>>(), customer.tags().collect::<Vec<_>>());
            prop_assert_eq!(alone.identifiers().collect::<Vec<_>>(), customer.identifiers().collect::<Vec<_>>());
        }
    }
}

#[test]
fn too_many_cannot_be_merged_into_one() {
    let world = World::new();
    let mut one = Customer::new(member(0));
    for n in 1..crm_core::identity::MEMBERS_MAX {
        one = world.merge(&one, &Customer::new(member(n)));
    }
    let facts = world.facts(&[]);
    let more = one.merge(Customer::new(member(200)), member(0), hour(0), facts, &world.definitions);
    assert!(more.unwrap_err().to_string().contains("33 customers"));
}
