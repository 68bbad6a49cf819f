//! Whatever happens to a handful of people, by every way into the library, what is stored stays in order.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[cfg(feature = "sqlite")]
mod scratch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crm::blocking::Crm;
use crm::loyalty::Period;
use crm::{
    Allowance, Attribute, AttributeSet, AuditActor, AwardPoints, Badge, BadgeName, BatchName, Benefit, CancelReward,
    CardLine, CardUpdate, CartUpdated, CaseClosed, CaseKind, CaseOpened, CaseOutcome, CaseRef, CaseReopened, Channel,
    ClaimCoupon, ClaimReward, Clock, Command, Comparison, ConfirmProof, ConsentGiven, ConsentWithdrawn, ContactPoint,
    Contacted, Counted, Coupon, CouponCode, Currency, Customer, CustomerId, DeclaredKind, DeclaredName, DeclaredValue,
    Definition, Digest, Downgrade, ErasureRequest, Error, EventId, ExternalSystem, FieldName, GiftPolicy, HoldName,
    HoldPlaced, Identifier, Incoming, Ingestion, InviteToTier, Locale, LookupKey, ManualClock, MemberAllowance,
    MemoryStore, MessageReceived, Method, Money, Name, Number, Objected, Objection, OnLeaving, OptIn, OptInToken,
    OrderPlaced, OrderRef, Party, PartyDescribed, PaymentReceived, PersonalError, PluginFault, PluginName, PluginStamp,
    PoolCommand, PoolKind, PoolPolicy, Predicate, Presented, Program, ProgramId, Proof, Purpose, Record, RedeemCoupon,
    RedeemPoints, Referral, ReferralName, Refunded, ReleaseCoupon, Remark, ReserveCoupon, Restricted,
    RestrictionLifted, RevokeTier, Reward, RewardGives, RewardName, Role, ScoreBatch, ScoreName, ScoreOutput, Scorer,
    SearchQuery, SegmentName, SmolStr, Source, Span, Stage, Store, Strength, Subject, SuppressionReason, Tag, TenantId,
    Tie, TieKind, TierName, TierRule, Tiers, Timestamp, Untie, UseName, Visited, Voided, VoucherBatch, VoucherCode,
    Which, Who, Wording,
};
use crm::{
    CaptureCredit, CreditHoldName, GiftCardCode, GiftCardSale, GrantCredit, HoldCredit, ReleaseCredit, SpendCredit,
};
use crm_core::expression::{Events, Happenings, MessagesOf, Take, Window};
use proptest::prelude::*;

/// How many people there are at first.
const MANY: u8 = 4;

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour * 3_600_000).unwrap()
}

fn source() -> Source {
    Source::new("test").unwrap()
}

fn bring() -> ReferralName {
    ReferralName::new("bring").unwrap()
}

fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn tier(name: &str) -> TierName {
    TierName::new(name).unwrap()
}

/// Tiers that are kept for days and a grace, lost step by step, and one to be invited to.
fn kept_tiers() -> Tiers {
    let by_invitation = TierRule { by_invitation: true, ..TierRule::new(tier("black"), 100) };
    let for_life = TierRule { lifetime: true, ..TierRule::new(tier("silver"), 60) };
    Tiers {
        rules: vec![TierRule::new(tier("iron"), 20), for_life, TierRule::new(tier("gold"), 80), by_invitation],
        window: crm::loyalty::Window::Rolling(Span::days(2)),
        kept_until_end_of: Some(crm::loyalty::Period::Day),
        grace: Some(Span::millis(7 * 3_600_000)),
        downgrade: Downgrade::OneStep,
        notice: Some(Span::millis(5 * 3_600_000)),
        ..Tiers::default()
    }
}

fn why() -> Remark {
    "test".parse().unwrap()
}

fn number(n: u8) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap()
}

fn address(n: u8) -> String {
    format!("a{n}@example.com")
}

fn email(n: u8) -> Identifier {
    Identifier::email(&address(n)).unwrap()
}

fn device(n: u8) -> Identifier {
    Identifier::device(&format!("d{n}")).unwrap()
}

/// Every identifier that anybody ever comes with.
fn identifiers() -> impl Iterator<Item = Identifier> {
    (0..MANY).flat_map(|n| [number(n), email(n), device(n)])
}

fn euros(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn order_number(n: u8) -> OrderRef {
    OrderRef::new(format!("o-{n}")).unwrap()
}

fn marketing() -> Purpose {
    Purpose::new("marketing").unwrap()
}

fn proof() -> Proof {
    let (version, locale) = ("2026-01".parse().unwrap(), Locale::new("de-DE").unwrap());
    let wording = Wording { version, sha256: Digest::of(b"Ja, ich will."), locale };
    Proof::new(Method::Form, wording, "web shop".parse().unwrap())
}

/// By what somebody comes.
#[derive(Debug, Clone)]
enum By {
    Number(u8),
    /// An address, whether it is proved, and perhaps a device and a number.
    Presented(u8, bool, Option<u8>, Option<u8>),
    Order(u8),
    Case(u8),
    /// One of those who were met so far.
    Met(u8),
}

#[derive(Debug, Clone)]
enum Told {
    Visit,
    Cart(u32),
    Order(u8, i64),
    Refund(Option<u8>, i64),
    Payment(Option<u8>, i64),
    /// That one of the facts before was wrong.
    Void(u8),
    Identified(u8),
    Consent(Option<i64>),
    Withdrawn,
    Restricted(bool),
    Objected,
    Party(u8),
    /// A number, or none.
    Attribute(Option<i64>),
    /// Of one of some cases that it is opened, closed or reopened.
    Case(u8, u8),
    Message(bool),
}

#[derive(Debug, Clone)]
enum Step {
    /// At an instant that may be over or to come.
    Tell(By, i64, Told),
    /// Several at once, as history or live.
    Batch(Vec<(By, i64, Told)>, bool),
    /// One of the facts before, sent once more.
    Again(u8),
    Tag(u8, bool),
    Award(u8, i64),
    /// A scoring run, as of an instant, with the scores of some.
    Score(i64, Vec<(u8, f64)>),
    Redeem(u8, i64),
    /// To a tier, for so many hours or for ever.
    Invite(u8, Option<i64>),
    Revoke(u8),
    /// One gives points to another.
    Give(u8, u8, i64),
    /// Something with the pool of one and another who is to be a member.
    Pool(u8, u8, u8),
    Refer(u8, u8),
    Coupon(u8, u8),
    /// Something about store credit.
    Credit(u8, u8, i64),
    /// One of some gift cards is issued, redeemed or blocked.
    Gift(u8, u8, u8),
    /// To keep, make or give back a use of a coupon, of which order.
    Use(u8, u8, u8),
    Reward(u8),
    /// To give back a reward, the first one.
    GiveBack(u8),
    Voucher(u8),
    /// To use one of the codes, by somebody.
    Code(u8, u8),
    Notify(u8),
    Ask(u8, u8),
    Confirm(u8),
    Suppress(u8),
    Unsuppress(u8, u8),
    Card(u8, u8, i64),
    Personal(u8, Option<u8>),
    Tie(u8, u8, bool, i64),
    Untie(u8, u8, bool, i64),
    Merge(u8, u8),
    Part(u8, u8),
    Reject(u8, u8),
    Hold(u8, bool),
    Erase(u8),
    Wait(i64),
    Refresh,
}

fn by() -> impl Strategy<Value = By> {
    let one = || 0..MANY;
    prop_oneof![
        4 => one().prop_map(By::Number),
        4 => (one(), any::<bool>(), proptest::option::of(one()), proptest::option::of(one()))
            .prop_map(|(address, proved, device, number)| By::Presented(address, proved, device, number)),
        1 => (0..6_u8).prop_map(By::Order),
        1 => (0..4_u8).prop_map(By::Case),
        3 => any::<u8>().prop_map(By::Met),
    ]
}

fn told() -> impl Strategy<Value = Told> {
    let order = || proptest::option::of(0..6_u8);
    prop_oneof![
        3 => Just(Told::Visit),
        1 => (0..3_u32).prop_map(Told::Cart),
        4 => (0..6_u8, 0..9_000_i64).prop_map(|(n, minor)| Told::Order(n, minor)),
        3 => (order(), 0..9_000_i64).prop_map(|(n, minor)| Told::Refund(n, minor)),
        1 => (order(), 0..9_000_i64).prop_map(|(n, minor)| Told::Payment(n, minor)),
        2 => any::<u8>().prop_map(Told::Void),
        2 => (0..MANY).prop_map(Told::Identified),
        2 => proptest::option::of(0..400_i64).prop_map(Told::Consent),
        1 => Just(Told::Withdrawn),
        1 => any::<bool>().prop_map(Told::Restricted),
        1 => Just(Told::Objected),
        1 => any::<u8>().prop_map(Told::Party),
        2 => proptest::option::weighted(0.8, 0..3_i64).prop_map(Told::Attribute),
        3 => (0..4_u8, 0..4_u8).prop_map(|(n, what)| Told::Case(n, what)),
        1 => any::<bool>().prop_map(Told::Message),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let met = || any::<u8>();
    let at = || 0..300_i64;
    prop_oneof![
        14 => (by(), at(), told()).prop_map(|(by, at, told)| Step::Tell(by, at, told)),
        2 => (proptest::collection::vec((by(), at(), told()), 1..5), any::<bool>())
            .prop_map(|(batch, live)| Step::Batch(batch, live)),
        2 => any::<u8>().prop_map(Step::Again),
        1 => (met(), any::<bool>()).prop_map(|(n, on)| Step::Tag(n, on)),
        1 => (met(), 1..90_i64).prop_map(|(n, points)| Step::Award(n, points)),
        2 => (at(), proptest::collection::vec((met(), 0.0..1.0_f64), 1..5)).prop_map(|(at, scores)| Step::Score(at, scores)),
        2 => (met(), 1..90_i64).prop_map(|(n, points)| Step::Redeem(n, points)),
        1 => (met(), proptest::option::of(1..100_i64)).prop_map(|(n, hours)| Step::Invite(n, hours)),
        1 => met().prop_map(Step::Revoke),
        2 => (met(), met(), 1..60_i64).prop_map(|(one, other, points)| Step::Give(one, other, points)),
        2 => (met(), met(), 0..5_u8).prop_map(|(one, other, what)| Step::Pool(one, other, what)),
        2 => (met(), met()).prop_map(|(one, other)| Step::Refer(one, other)),
        2 => (met(), 1..3_u8).prop_map(|(n, coupon)| Step::Coupon(n, coupon)),
        4 => (met(), 0..8_u8, 1..90_i64).prop_map(|(n, what, minor)| Step::Credit(n, what, minor)),
        2 => (met(), 0..4_u8, 0..3_u8).prop_map(|(n, card, what)| Step::Gift(n, card, what)),
        3 => (met(), 0..3_u8, 0..6_u8).prop_map(|(n, what, order)| Step::Use(n, what, order)),
        2 => met().prop_map(Step::Reward),
        1 => met().prop_map(Step::GiveBack),
        1 => met().prop_map(Step::Voucher),
        2 => (met(), any::<u8>()).prop_map(|(n, code)| Step::Code(n, code)),
        1 => met().prop_map(Step::Notify),
        1 => (met(), 0..MANY).prop_map(|(n, address)| Step::Ask(n, address)),
        1 => any::<u8>().prop_map(Step::Confirm),
        1 => (0..MANY).prop_map(Step::Suppress),
        1 => (met(), 0..MANY).prop_map(|(n, address)| Step::Unsuppress(n, address)),
        2 => (met(), 0..8_u8, at()).prop_map(|(n, what, at)| Step::Card(n, what, at)),
        1 => (met(), proptest::option::of(0..3_u8)).prop_map(|(n, what)| Step::Personal(n, what)),
        2 => (met(), met(), any::<bool>(), at()).prop_map(|(one, other, kind, at)| Step::Tie(one, other, kind, at)),
        1 => (met(), met(), any::<bool>(), at()).prop_map(|(one, other, kind, at)| Step::Untie(one, other, kind, at)),
        3 => (met(), met()).prop_map(|(one, other)| Step::Merge(one, other)),
        3 => (met(), met()).prop_map(|(one, other)| Step::Part(one, other)),
        1 => (met(), met()).prop_map(|(one, other)| Step::Reject(one, other)),
        1 => (met(), any::<bool>()).prop_map(|(n, placed)| Step::Hold(n, placed)),
        1 => met().prop_map(Step::Erase),
        3 => (0..150_i64).prop_map(Step::Wait),
        1 => Just(Step::Refresh),
    ]
}

fn ten_off() -> CouponCode {
    CouponCode::new("ten").unwrap()
}

fn mug() -> RewardName {
    RewardName::new("mug").unwrap()
}

/// What there is to be had.
fn rewards() -> Vec<Definition> {
    let coupon = Coupon::new(Benefit::PercentOff(10)).with_uses(4).with_each(2);
    let gives = RewardGives::Voucher { coupon: ten_off(), lasts: Some(Span::days(3)) };
    let reward = Reward::new(points(), 20, gives).with_stock(3).cancellable_within(Span::days(4));
    let often = Badge::new(Predicate::compare(Attribute::Orders, Comparison::Ge, 2)).with_points(points(), 5);
    let old = Badge::new(Predicate::compare(Attribute::AgeDays, Comparison::Ge, 3));
    vec![
        Definition::Coupon(ten_off(), Some(Box::new(coupon))),
        Definition::Reward(mug(), Some(Box::new(reward))),
        Definition::Badge(BadgeName::new("often").unwrap(), Some(Box::new(often))),
        Definition::Badge(BadgeName::new("old").unwrap(), Some(Box::new(old))),
    ]
}

fn size() -> DeclaredName {
    DeclaredName::new("size").unwrap()
}

fn case_number(n: u8) -> CaseRef {
    CaseRef::new(format!("c-{n}")).unwrap()
}

fn risk() -> ScoreName {
    ScoreName { plugin: PluginName::new("churn").unwrap(), output: ScoreOutput::new("risk").unwrap() }
}

/// Gives the scores that it was told.
#[derive(Debug)]
struct Scores(PluginStamp, [SmolStr; 1], BTreeMap<CustomerId, f64>);

impl Scorer for Scores {
    fn stamp(&self) -> &PluginStamp {
        &self.0
    }

    fn attributes(&self) -> &[Attribute] {
        &[]
    }

    fn outputs(&self) -> &[SmolStr] {
        &self.1
    }

    fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
        Ok(vec![batch.customers.iter().map(|id| self.2.get(id).copied()).collect()])
    }
}

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    met: Vec<CustomerId>,
    sent: Vec<Incoming>,
    tokens: Vec<OptInToken>,
    codes: Vec<VoucherCode>,
    /// Whether anybody was parted or erased: an identifier that two were told of then leads to one of them or nobody.
    divided: bool,
}

fn shop_on(store: Arc<dyn Store>) -> (Arc<ManualClock>, Crm) {
    let clock = Arc::new(ManualClock::at(hour(0)));
    let crm = crm::Crm::builder().shared_store(store).clock(Arc::clone(&clock)).ids(crm::DerivedIds).build();
    (clock, Crm::from(crm))
}

fn counted(what: Events, within: Window) -> Number {
    Number::Over(Happenings { what, within }, Take::Count)
}

/// What there is to choose by.
fn predicates() -> Vec<Predicate> {
    vec![
        Predicate::compare(Attribute::Orders, Comparison::Ge, 1),
        Predicate::compare(Attribute::Points, Comparison::Gt, 20),
        Predicate::compare(Attribute::Spend, Comparison::Lt, 2_000),
        Predicate::compare(Attribute::RecencyDays, Comparison::Le, 3),
        Predicate::missing(Attribute::AverageOrder),
        Predicate::StageIn([Stage::Prospect, Stage::Purchase].into()),
        Predicate::tag(&Tag::new("vip").unwrap()),
        Predicate::orders_in_last(4, Comparison::Ge, 2),
        Predicate::compare(Number::DeclaredWhole(size()), Comparison::Ge, 1),
        Predicate::compare(Number::Score(risk()), Comparison::Ge, 500_000),
        Predicate::Not(Box::new(Predicate::compare(Number::Score(risk()), Comparison::Gt, 300_000))),
        Predicate::compare(counted(Events::OpenCases(None), Window::Ever), Comparison::Ge, 1),
        Predicate::compare(
            counted(Events::Cases(Some(CaseKind::Return)), Window::Last(Span::days(3))),
            Comparison::Ge,
            1,
        ),
        Predicate::compare(
            counted(Events::Messages(MessagesOf::default()), Window::Last(Span::days(2))),
            Comparison::Eq,
            1,
        ),
    ]
}

/// Goes on where the library says that something cannot be, and panics where it failed.
fn or_refused<T>(answer: Result<T, Error>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(
            Error::Fact(_)
            | Error::Refused(_)
            | Error::Merge(_)
            | Error::Consent(_)
            | Error::Blocked(_)
            | Error::Hold(_)
            | Error::Card(_)
            | Error::Personal(PersonalError::Erased { .. }),
        ) => None,
        Err(error) => panic!("{error:?}"),
    }
}

impl Shop {
    fn on(store: Arc<dyn Store>) -> Self {
        let (clock, crm) = shop_on(store);
        let mut program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(3));
        program.tiers = kept_tiers();
        let pools = PoolPolicy { members: 3, each: None, on_leaving: OnLeaving::TakeOwn, share_millionths: 400_000 };
        let program = Program { gifts: Some(GiftPolicy::default()), pools: Some(pools), ..program };
        let referral = Referral {
            program: points(),
            referrer: 30,
            referred: 20,
            at_least: None,
            wait: Span::days(1),
            each: Some(Allowance { points: 1, per: Period::Week }),
        };
        crm.define(hour(0), Definition::Referral(bring(), Some(referral))).unwrap();
        crm.define(hour(0), Definition::Program(points(), Some(program))).unwrap();
        // And another one, which has nothing but tiers, and looks at them at once.
        let mut program = Program::new(Currency::EUR).with_tier(tier("bronze"), 5_000);
        program.tiers.counted = Counted::Spend;
        program.tiers.window = crm::loyalty::Window::Rolling(Span::days(4));
        program.tiers.notice = Some(Span::millis(20 * 3_600_000));
        crm.define(hour(0), Definition::Program(ProgramId::new("spenders").unwrap(), Some(program))).unwrap();
        for (name, rule) in [("golden", r#"tier("points") == "gold""#), ("bronzed", r#"tier("spenders") == "bronze""#)]
        {
            let rule = crm.rule(rule).unwrap();
            crm.define(hour(0), Definition::Segment(SegmentName::new(name).unwrap(), Some(rule))).unwrap();
        }
        crm.define(hour(0), Definition::Attribute(size(), Some(DeclaredKind::Whole))).unwrap();
        for definition in rewards() {
            crm.define(hour(0), definition).unwrap();
        }
        for (n, predicate) in predicates().into_iter().enumerate() {
            let name = SegmentName::new(format!("s-{n}")).unwrap();
            crm.define(hour(0), Definition::Segment(name, Some(predicate))).unwrap();
        }
        let mut shop = Shop {
            crm,
            clock,
            met: Vec::new(),
            sent: Vec::new(),
            tokens: Vec::new(),
            codes: Vec::new(),
            divided: false,
        };
        for n in 0..MANY {
            shop.tell(&By::Number(n), 0, &Told::Visit);
        }
        shop
    }

    fn met(&self, n: u8) -> CustomerId {
        self.met[usize::from(n) % self.met.len()]
    }

    fn incoming(&self, by: &By, at: i64, told: &Told) -> Incoming {
        let who = match by {
            By::Number(n) => Who::from(number(*n)),
            By::Presented(address, proved, on, known_as) => {
                let address = if *proved { email(*address).verified() } else { email(*address).unverified() };
                let mut all = vec![address];
                all.extend(on.map(|n| Presented::from(device(n))));
                all.extend(known_as.map(|n| Presented::from(number(n))));
                Who::from(all)
            }
            By::Order(n) => Who::Order(order_number(*n)),
            By::Case(n) => Who::Case(case_number(*n)),
            By::Met(n) => Who::from(self.met(*n)),
        };
        let at = hour(at);
        let fact = match told {
            Told::Visit => Visited { channel: Channel::Web, place: None }.into(),
            Told::Cart(items) => CartUpdated { items: *items, value: None }.into(),
            Told::Order(n, minor) => OrderPlaced::new(euros(*minor)).with_order(order_number(*n)).into(),
            Told::Refund(n, minor) => crm::Fact::from(Refunded { order: n.map(order_number), amount: euros(*minor) }),
            Told::Payment(n, minor) => PaymentReceived { order: n.map(order_number), amount: euros(*minor) }.into(),
            Told::Void(n) => {
                let key = format!("f-{}", usize::from(*n) % self.sent.len().max(1));
                Voided { event: EventId::of_fact(&TenantId::default(), &source(), &key), reason: None }.into()
            }
            Told::Identified(n) => self.crm.identified(&email(*n)).into(),
            Told::Consent(until) => {
                let given = ConsentGiven::new(marketing(), Channel::Email, proof());
                until.map_or(given.clone(), |until| given.until(at.plus(Span::millis(until as u64 * 3_600_000)))).into()
            }
            Told::Withdrawn => ConsentWithdrawn::new(marketing(), Which::All, Method::Call).into(),
            Told::Restricted(true) => Restricted { reason: None }.into(),
            Told::Restricted(false) => RestrictionLifted { reason: None }.into(),
            Told::Objected => Objected { to: Objection::Marketing }.into(),
            Told::Attribute(number) => {
                AttributeSet { attribute: size(), value: number.map(DeclaredValue::Whole) }.into()
            }
            Told::Case(n, 0) => CaseOpened { case: case_number(*n), kind: CaseKind::Return, topic: None }.into(),
            Told::Case(n, 1) => CaseOpened { case: case_number(*n), kind: CaseKind::Complaint, topic: None }.into(),
            Told::Case(n, 2) => CaseClosed { case: case_number(*n), outcome: CaseOutcome::Resolved }.into(),
            Told::Case(n, _) => CaseReopened { case: case_number(*n), reason: None }.into(),
            Told::Message(true) => MessageReceived { channel: Channel::Sms, subject: None }.into(),
            Told::Message(false) => Contacted { purpose: marketing(), channel: Channel::Email, scope: None }.into(),
            Told::Party(n) if *n % 2 == 0 => {
                let party = Party::person().member_of(self.met(*n), Role::Buyer).unwrap();
                PartyDescribed { party }.into()
            }
            Told::Party(_) => PartyDescribed { party: Party::organisation().with_role(Role::Supplier) }.into(),
        };
        Incoming::new(who, at, source(), fact)
    }

    fn keyed(&mut self, by: &By, at: i64, told: &Told) -> Incoming {
        let key = format!("f-{}", self.sent.len()).parse().unwrap();
        let incoming = self.incoming(by, at, told).with_key(key);
        self.sent.push(incoming.clone());
        incoming
    }

    fn meet(&mut self, customer: CustomerId) {
        if !self.met.contains(&customer) {
            self.met.push(customer);
        }
    }

    fn tell(&mut self, by: &By, at: i64, told: &Told) {
        let incoming = self.keyed(by, at, told);
        if let Some(recorded) = or_refused(self.crm.record(incoming)) {
            self.meet(recorded.customer);
        }
    }

    fn step(&mut self, turn: usize, step: &Step) {
        let key = turn.to_string();
        let execute = |shop: &Shop, n: u8, command| drop(or_refused(shop.crm.execute(shop.met(n), command, &key)));
        let kind = |mutual: bool| if mutual { TieKind::Household } else { TieKind::Follows };
        match step {
            Step::Tell(by, at, told) => self.tell(by, *at, told),
            Step::Batch(batch, live) => {
                let facts: Vec<_> = batch.iter().map(|(by, at, told)| self.keyed(by, *at, told)).collect();
                let how = if *live { Ingestion::live() } else { Ingestion::history() };
                self.crm.ingest(facts, how).unwrap();
                let mut all = Vec::new();
                self.crm.for_each_customer(|customer| all.extend(customer.members())).unwrap();
                all.into_iter().for_each(|customer| self.meet(customer));
            }
            Step::Again(n) => {
                let again = self.sent[usize::from(*n) % self.sent.len()].clone();
                if let Some(recorded) = or_refused(self.crm.record(again)) {
                    self.meet(recorded.customer);
                }
            }
            Step::Tag(n, on) => {
                let tag = Tag::new("vip").unwrap();
                execute(self, *n, if *on { Command::AddTag(tag) } else { Command::RemoveTag(tag) });
            }
            Step::Award(n, count) => {
                execute(
                    self,
                    *n,
                    Command::AwardPoints(AwardPoints { program: points(), points: *count, reason: why() }),
                );
            }
            Step::Score(at, scores) => {
                let of = |(n, score): &(u8, f64)| (self.crm.customer(self.met(*n)).unwrap().unwrap().id(), *score);
                let stamp = PluginStamp { name: risk().plugin, version: "1".into(), digest: Digest::of(b"risk") };
                let mut scorer = Scores(stamp, ["risk".into()], scores.iter().map(of).collect());
                assert!(self.crm.score(&mut scorer, hour(*at)).unwrap().faults.is_empty());
            }
            Step::Redeem(n, count) => {
                execute(
                    self,
                    *n,
                    Command::RedeemPoints(RedeemPoints {
                        program: points(),
                        points: *count,
                        reason: why(),
                        order: None,
                        total: None,
                    }),
                );
            }
            Step::Invite(n, hours) => {
                let until = hours.map(|hours| self.crm.now().plus(Span::millis(hours as u64 * 3_600_000)));
                let invite = InviteToTier { program: points(), tier: tier("black"), until };
                execute(self, *n, Command::InviteToTier(invite));
            }
            Step::Revoke(n) => {
                execute(self, *n, Command::RevokeTier(RevokeTier { program: points(), tier: tier("black") }));
            }
            Step::Give(one, other, count) => {
                let give = crm::GivePoints { program: points(), points: *count, reason: why() };
                or_refused(self.crm.give_points(self.met(*one), self.met(*other), give, &key));
            }
            Step::Pool(one, other, what) => {
                let member = self.met(*other);
                let command = match what {
                    0 => PoolCommand::Open { kind: PoolKind::Household },
                    1 => PoolCommand::Join { member, allowance: MemberAllowance::AsAll },
                    2 => PoolCommand::Leave { member },
                    3 => PoolCommand::Contribute { member, points: 5, reason: why() },
                    _ => PoolCommand::Redeem { member, points: 7, reason: why() },
                };
                or_refused(self.crm.pool(self.met(*one), &points(), command, &key));
            }
            Step::Refer(one, other) => {
                or_refused(self.crm.refer(&bring(), self.met(*one), self.met(*other), &key));
            }
            Step::Coupon(n, uses) => {
                let claim = ClaimCoupon { coupon: format!("c{uses}").parse().unwrap(), uses: u32::from(*uses) };
                execute(self, *n, Command::ClaimCoupon(claim));
            }
            Step::Credit(n, what, minor) => {
                let (amount, until) =
                    (Money::new(*minor, Currency::EUR), hour(self.crm.now().as_millis() / 3_600_000 + minor));
                let hold = CreditHoldName::new((minor % 3).to_string()).unwrap();
                let command: Command = match what {
                    0..=2 => {
                        let expires_at = Some(until).filter(|_| *what > 0);
                        GrantCredit { amount, reason: why(), expires_at }.into()
                    }
                    3 | 4 => SpendCredit { amount, order: None }.into(),
                    5 => HoldCredit { hold, amount, until, order: None }.into(),
                    6 => CaptureCredit { hold, amount: None }.into(),
                    _ => ReleaseCredit { hold }.into(),
                };
                execute(self, *n, command);
            }
            Step::Gift(n, card, what) => {
                let code = GiftCardCode::parse(&format!("gift card {card}")).unwrap();
                let sale = GiftCardSale::new(Money::new(i64::from(*card) + 10, Currency::EUR));
                match what {
                    0 => drop(or_refused(self.crm.issue_gift_card(self.met(*n), &code, sale, &key))),
                    1 => drop(or_refused(self.crm.redeem_gift_card(self.met(*n), &code, &key))),
                    _ => drop(or_refused(self.crm.block_gift_card(self.crm.gift_card_id(&code), why(), &key))),
                }
            }
            Step::Use(n, what, order) => {
                let (coupon, name) = (ten_off(), UseName::new(format!("u{order}")).unwrap());
                let (order, expires_at) = (Some(order_number(*order)), self.crm.now().plus(Span::days(2)));
                let command = match what {
                    0 => Command::ReserveCoupon(ReserveCoupon { coupon, name, expires_at, voucher: None }),
                    1 => Command::RedeemCoupon(RedeemCoupon { coupon, name, order, voucher: None }),
                    _ => Command::ReleaseCoupon(ReleaseCoupon { coupon, name }),
                };
                execute(self, *n, command);
            }
            Step::Reward(n) => execute(self, *n, Command::ClaimReward(ClaimReward { reward: mug() })),
            Step::GiveBack(n) => {
                let customer = self.crm.customer(self.met(*n)).unwrap().unwrap();
                if let Some((claim, _)) = customer.rewards().claims().next() {
                    execute(self, *n, Command::CancelReward(CancelReward { claim }));
                }
            }
            Step::Voucher(n) => {
                if self.codes.len().is_multiple_of(2) {
                    self.codes.push(self.crm.issue_voucher(self.met(*n), &ten_off(), None).unwrap().code);
                } else {
                    let name = BatchName::new("flyer").unwrap();
                    let batch = VoucherBatch { name, coupon: ten_off(), expires_at: None };
                    self.codes.extend(self.crm.issue_vouchers(&batch, 1).unwrap());
                }
            }
            Step::Code(n, code) => {
                if let Some(code) = self.codes.get(usize::from(*code) % self.codes.len().max(1)) {
                    let name = UseName::new(format!("code {}", *n % 3)).unwrap();
                    or_refused(self.crm.redeem_voucher(self.met(*n), code, name, None, &format!("code {key}")));
                }
            }
            Step::Notify(n) => {
                execute(self, *n, Command::Notify { topic: "mail".parse().unwrap(), fields: crm::Fields::new() });
            }
            Step::Ask(n, address) => {
                let asked = OptIn::new(marketing(), Channel::Email, email(*address), proof());
                if let Some(asked) = or_refused(self.crm.request_opt_in(self.met(*n), asked)) {
                    self.tokens.push(asked.token);
                }
            }
            Step::Confirm(n) => {
                if let Some(token) = self.tokens.get(usize::from(*n) % self.tokens.len().max(1)) {
                    let by = ConfirmProof { collected_by: "page".parse().unwrap(), address: None };
                    or_refused(self.crm.confirm_opt_in(token, by));
                }
            }
            Step::Suppress(address) => {
                self.crm.suppress(&email(*address), SuppressionReason::Bounced, &source()).unwrap();
            }
            Step::Unsuppress(n, address) => {
                or_refused(self.crm.unsuppress(self.met(*n), &email(*address), proof()));
            }
            Step::Card(n, what, at) => {
                let update = match what % 3 {
                    0 => CardUpdate::new().name(Name::new("Ana", &format!("Silva{what}")).unwrap()),
                    1 => CardUpdate::new().employer(CardLine::new(format!("Acme {what}")).unwrap()),
                    _ => CardUpdate::new()
                        .contact_points(vec![ContactPoint::email(&address(*what % MANY)).unwrap()])
                        .without(crm::Field::Name),
                };
                or_refused(self.crm.update_card(self.met(*n), update, &source(), hour(*at)));
            }
            Step::Personal(n, what) => {
                let value = what.map(|what| format!("Porto {what}"));
                let field = FieldName::new("city").unwrap();
                or_refused(self.crm.keep_personal(self.met(*n), &[(field, value.as_deref())]));
            }
            Step::Tie(one, other, mutual, at) => {
                let (from, to) = (self.met(*one), self.met(*other));
                let tie = Tie { from, to, kind: kind(*mutual), strength: Strength::FULL };
                or_refused(self.crm.tie(tie, hour(*at), source(), format!("t-{key}").parse().unwrap()));
            }
            Step::Untie(one, other, mutual, at) => {
                let untie = Untie { from: self.met(*one), to: self.met(*other), kind: kind(*mutual) };
                or_refused(self.crm.untie(untie, hour(*at), source(), format!("t-{key}").parse().unwrap()));
            }
            Step::Merge(one, other) => drop(or_refused(self.crm.merge(self.met(*one), self.met(*other), why()))),
            Step::Part(one, other) => {
                self.divided |= or_refused(self.crm.part(self.met(*one), self.met(*other), why())).is_some();
            }
            Step::Reject(one, other) => self.crm.reject_duplicate(self.met(*one), self.met(*other), why()).unwrap(),
            Step::Hold(n, placed) => {
                let name = HoldName::new("audit").unwrap();
                let hold = HoldPlaced { name: name.clone(), record: Record::Everything, until: None };
                if *placed {
                    or_refused(self.crm.hold(self.met(*n), hold, AuditActor::Rule));
                } else {
                    self.crm.release_hold(self.met(*n), &name, AuditActor::Rule).unwrap();
                }
            }
            Step::Erase(n) => {
                let request = ErasureRequest::new(AuditActor::Rule).forced();
                self.divided |= or_refused(self.crm.erase_with(self.met(*n), request)).is_some();
            }
            Step::Wait(hours) => self.wait(*hours),
            Step::Refresh => drop(self.crm.refresh().unwrap()),
        }
    }

    fn wait(&self, hours: i64) {
        let now = hour(self.crm.now().as_millis() / 3_600_000 + hours);
        self.clock.set(now);
        self.crm.advance(now).unwrap();
    }

    fn all(&self) -> Vec<Customer> {
        let mut all = Vec::new();
        self.crm.for_each_customer(|customer| all.push(customer.clone())).unwrap();
        all
    }

    /// All that has to hold at any time.
    fn check(&self) {
        let crm = &self.crm;
        let definitions = crm.definitions().unwrap();
        let all = self.all();
        let mut everybody = BTreeSet::new();
        let mut outstanding = 0;
        for customer in &all {
            assert!(customer.members().all(|member| everybody.insert(member)), "everybody is there once");
            let mut events = crm.story(customer.id()).unwrap().unwrap().events;
            events.sort_by_key(|event| event.customer);
            let told = events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
            let again = Customer::replay(customer.id(), told, customer.clock().unwrap(), &definitions);
            // They are no events; whether they are those of the rows is seen where the store chooses.
            let scores = customer.scores().map(|(name, score)| (name.clone(), score.clone()));
            let again = again.with_scores(scores, &definitions);
            assert_eq!(again.facts(), customer.facts());
            assert_eq!(again.waiting().collect::<Vec<_>>(), customer.waiting().collect::<Vec<_>>());
            assert_eq!((again.digest(), again.joins()), (customer.digest(), customer.joins()));
            assert_eq!(customer.next_alarm(&definitions), customer.alarm());
            for (_, book) in customer.books() {
                let held: i128 = book.lots().iter().map(|lot| i128::from(lot.left())).sum();
                assert_eq!(held - i128::from(book.owed()), book.balance());
                outstanding += book.totals().outstanding();
            }
            if customer.is_erased() {
                assert_eq!(customer.identifiers().count() + customer.stated_identifiers().count(), 0);
                assert!(crm.personal(customer.id()).unwrap().is_empty() && crm.card(customer.id()).unwrap().is_empty());
            }
            // Of somebody who was merged the last word of any of them holds, which the other side heard of one.
            for tie in customer.ties().filter(|_| !customer.is_merged()) {
                let other = crm.customer(tie.other).unwrap().unwrap();
                if other.is_merged() {
                    continue;
                }
                let is_mirror = |side: &crm::TieSide<'_>| {
                    customer.is(side.other) && side.kind == tie.kind && side.direction == tie.direction.mirrored()
                };
                assert!(other.ties().any(|side| is_mirror(&side)), "{tie:?}");
            }
        }
        assert_eq!(everybody, self.met.iter().copied().collect());
        for id in &self.met {
            assert!(crm.customer(*id).unwrap().unwrap().is(*id));
        }
        for totals in crm.credit_trial_balance().unwrap().currencies.values() {
            assert_eq!((totals.transferred, totals.difference()), (0, 0));
        }
        // What all share is counted as what each has.
        if let Some(one) = all.first() {
            let claims: usize = all.iter().map(|customer| customer.rewards().claims().count()).sum();
            let left = crm.rewards_for(one.id()).unwrap()[0].left;
            assert_eq!(left, Some(3 - claims as u64));
        }
        let uses: usize = all.iter().map(|customer| customer.coupon_uses(&ten_off()).len()).sum();
        assert!(uses <= 4);
        let overview = crm.overview().unwrap();
        assert_eq!((overview.customers, overview.points.outstanding()), (all.len() as u64, outstanding));
        self.check_finding(&all);
        crm.verify_audit(&[], &[]).unwrap();
    }

    /// Whoever is known by an identifier is found by it.
    fn check_finding(&self, all: &[Customer]) {
        for identifier in identifiers() {
            let key = LookupKey::public().hash(&TenantId::default(), &identifier);
            let known: Vec<CustomerId> =
                all.iter().filter(|customer| customer.identifiers().any(|own| *own == key)).map(Customer::id).collect();
            let found = self.crm.customer(&identifier).unwrap().map(|customer| customer.id());
            let is_one = known.len() <= 1 && known.iter().all(|id| Some(*id) == found);
            assert!(is_one || self.divided, "{key:?}: {known:?}, {found:?}");
            assert!(
                found.is_none_or(|id| all.iter().any(|one| one.id() == id && !one.is_erased())),
                "{key:?}: {found:?}"
            );
        }
    }

    /// What the store chooses once everything due is worked off, and who is found by name.
    fn check_choosing(&self) {
        self.wait(0);
        let now = self.crm.now();
        let all = self.all();
        let definitions = self.crm.definitions().unwrap();
        let holds = |rule: &Predicate, customer: &Customer| rule.holds(&Subject::new(customer, now, &definitions));
        for predicate in predicates() {
            let held: BTreeSet<CustomerId> =
                all.iter().filter(|customer| holds(&predicate, customer)).map(Customer::id).collect();
            let selected = self.crm.select(&predicate, None, 100).unwrap().customers;
            assert_eq!(selected.into_iter().collect::<BTreeSet<_>>(), held, "{predicate:?}");
        }
        for (n, predicate) in predicates().into_iter().enumerate() {
            let name = SegmentName::new(format!("s-{n}")).unwrap();
            for customer in &all {
                assert_eq!(
                    customer.standing().is_in(&name),
                    holds(&predicate, customer),
                    "{predicate:?} {}",
                    customer.id()
                );
            }
        }
        assert!(all.iter().all(|customer| customer.alarm().is_none_or(|alarm| alarm.due_at > now)));
        for found in self.crm.search(&SearchQuery::new("silva").unwrap(), 50).unwrap() {
            let customer = self.crm.customer(found.customer).unwrap().unwrap();
            assert!(!customer.is_erased());
        }
        assert_eq!(self.crm.refresh().unwrap(), 0, "nothing is left to reconsider");
    }

    /// What is given out of everybody is taken in elsewhere as what it was.
    fn check_exporting(&self, stores: Vec<Arc<dyn Store>>) {
        let lasting = |mut export: serde_json::Value| {
            let object = export.as_object_mut().unwrap();
            for not_theirs in ["exported_at", "alarm", "suppressed"] {
                object.remove(not_theirs);
            }
            export
        };
        let crm = &self.crm;
        let definitions = crm.export_definitions().unwrap();
        for store in stores {
            let (clock, again) = shop_on(store);
            clock.set(self.clock.now());
            again.import_definitions(&definitions).unwrap();
            for customer in self.all() {
                let export = crm.export(customer.id()).unwrap().unwrap();
                again.import(&export).unwrap();
                assert_eq!(again.customer(customer.id()).unwrap().unwrap().digest(), customer.digest());
                assert_eq!(lasting(again.export(customer.id()).unwrap().unwrap()), lasting(export));
            }
            let found = |crm: &Crm| -> BTreeMap<String, Option<CustomerId>> {
                let by = |who: Who| crm.customer(who).unwrap().map(|customer| customer.id());
                let mut all: BTreeMap<_, _> = identifiers()
                    .map(|one| (format!("{:?}", LookupKey::public().hash(&TenantId::default(), &one)), by(one.into())))
                    .collect();
                all.extend((0..6).map(|n| (format!("order {n}"), by(Who::Order(order_number(n))))));
                all.extend((0..4).map(|n| (format!("case {n}"), by(Who::Case(case_number(n))))));
                all
            };
            assert_eq!(found(&again), found(crm));
            let (before, after) = (crm.overview().unwrap(), again.overview().unwrap());
            assert_eq!((after.digest, after.points), (before.digest, before.points));
            // What was given out once more is the same, whatever was worked off since.
            for crm in [crm, &again] {
                crm.advance(hour(24 * 400)).unwrap();
            }
            assert_eq!(again.overview().unwrap(), crm.overview().unwrap());
        }
    }
}

#[test]
fn whoever_is_new_and_has_everything_ahead_is_in_the_segments_of_those_who_did_nothing() {
    for presented in [false, true] {
        let mut shop = Shop::on(Arc::new(MemoryStore::new()));
        let by = if presented { By::Presented(0, false, None, None) } else { By::Presented(0, true, None, None) };
        shop.tell(&by, 5, &Told::Order(0, 9_000));
        shop.check();
        shop.check_choosing();
        let ana = shop.crm.customer(*shop.met.last().unwrap()).unwrap().unwrap();
        let [few, missing] = ["s-2", "s-4"].map(|name| SegmentName::new(name).unwrap());
        assert!(ana.standing().is_in(&few) && ana.standing().is_in(&missing));
        shop.wait(6);
        shop.check();
        let ana = shop.crm.customer(ana.id()).unwrap().unwrap();
        assert!(!ana.standing().is_in(&few) && !ana.standing().is_in(&missing));
        shop.check_exporting(vec![Arc::new(MemoryStore::new())]);
    }
}

/// So many cases, or fifty times as many with `CRM_SOAK=1`.
fn cases(few: u32) -> u32 {
    if std::env::var_os("CRM_SOAK").is_some_and(|value| value == "1") { 50 * few } else { few }
}

fn walk(steps: &[Step], store: Arc<dyn Store>) -> Shop {
    let mut shop = Shop::on(store);
    for (turn, step) in steps.iter().enumerate() {
        shop.step(turn, step);
        shop.check();
    }
    shop
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(60)))]

    #[test]
    fn whatever_happens_what_is_stored_is_in_order_and_comes_back_from_an_export(
        steps in proptest::collection::vec(step(), 0..40),
    ) {
        let shop = walk(&steps, Arc::new(MemoryStore::new()));
        shop.check_choosing();
        shop.check_exporting(vec![Arc::new(MemoryStore::new())]);
    }
}

#[cfg(feature = "sqlite")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(4)))]

    #[test]
    fn whatever_happens_comes_to_the_same_on_sqlite(steps in proptest::collection::vec(step(), 0..30)) {
        // What follows from a token is of a random id.
        let steps: Vec<Step> = steps.into_iter().filter(|step| !matches!(step, Step::Ask(..) | Step::Voucher(..))).collect();
        let (file, elsewhere) = (scratch::Scratch::new(), scratch::Scratch::new());
        let open = |file: &scratch::Scratch| Arc::new(crm::SqliteStore::open(&file.0).unwrap());
        let (on_disk, in_memory) = (walk(&steps, open(&file)), walk(&steps, Arc::new(MemoryStore::new())));
        prop_assert_eq!(on_disk.crm.overview().unwrap(), in_memory.crm.overview().unwrap());
        on_disk.check_choosing();
        on_disk.check_exporting(vec![open(&elsewhere)]);
    }
}
