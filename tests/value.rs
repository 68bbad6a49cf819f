//! What customers are worth, from a shop's facts to the reports.
#![allow(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use crm::blocking::Crm;
use crm::value::{
    Brings, CompositePolicy, Cost, CostPolicy, DebtPolicy, KeyPolicy, PartName, PartRule, PopularityPolicy, RfmBands,
    RfmScale, ServiceCosts, ShareOf, ValueError, ValuePolicy, ValueTier,
};
use crm::{
    Channel, Currency, CustomFact, CustomerId, Definition, DefinitionError, DerivedIds, Enquired, Error,
    ExternalSystem, Fact, FactKey, Identifier, Incoming, Ingestion, KindName, KindSchema, Line, ManualClock,
    MemoryStore, Money, OrderPlaced, OrderRef, PaymentReceived, ProductRef, Refunded, Remark, RfmGroup, RfmPolicy,
    RfmScore, SegmentName, Source, Span, Store, Strength, Tag, Tagged, Tie, TieKind, TierName, Timestamp, Visited,
    Voided,
};

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::days(day))
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn number(number: &str) -> OrderRef {
    OrderRef::new(number).unwrap()
}

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    told: std::cell::Cell<u32>,
}

impl Shop {
    fn over(store: Arc<dyn Store>) -> Shop {
        let clock = Arc::new(ManualClock::at(day(0)));
        let crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds).shared_store(store).build();
        Shop { crm: Crm::from(crm), clock, told: std::cell::Cell::default() }
    }

    fn new() -> Shop {
        Shop::over(Arc::new(MemoryStore::new()))
    }

    fn valued(policy: ValuePolicy) -> Shop {
        let shop = Shop::new();
        shop.crm.define(Timestamp::MIN, Definition::Value(Box::new(policy))).unwrap();
        shop
    }

    fn tell(&self, name: &str, at: u32, fact: impl Into<Fact>) -> CustomerId {
        let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), name).unwrap();
        self.told.set(self.told.get() + 1);
        let fact = Incoming::new(who, day(at), Source::new("shop").unwrap(), fact);
        self.crm.record(fact.with_key(self.told.get().to_string().parse().unwrap())).unwrap().customer
    }

    fn order(&self, name: &str, at: u32, minor: i64) -> CustomerId {
        self.tell(name, at, OrderPlaced::new(eur(minor)))
    }

    fn tie(&self, from: CustomerId, to: CustomerId, kind: TieKind) {
        self.told.set(self.told.get() + 1);
        let tie = Tie { from, to, kind, strength: Strength::FULL };
        let key = FactKey::new(self.told.get().to_string()).unwrap();
        self.crm.tie(tie, day(1), Source::new("shop").unwrap(), key).unwrap();
    }

    fn until(&self, at: u32) {
        self.clock.set(day(at));
        self.crm.advance(day(at)).unwrap();
    }
}

fn mug(pieces: i64, minor: i64) -> Line {
    let product = Some(ProductRef::new("mug").unwrap());
    Line { product, category: None, quantity: Some(pieces), minor, ..Line::default() }
}

/// The purchases at CDNOW, each by customer, day and amount in cents.
fn cdnow() -> Vec<(String, Timestamp, i64)> {
    let file = std::fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/cdnow_sample.csv.gz")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let [_, customer, date, _, amount] = fields[..] else { panic!("{line}") };
        let cents = amount.replace('.', "").parse().unwrap();
        assert_eq!(amount.find('.'), Some(amount.len() - 3), "{line}");
        (customer.to_owned(), Timestamp::parse(date).unwrap(), cents)
    };
    text.lines().skip(1).map(row).collect()
}

/// The figures were counted from the same file by another program, with sorted lists and ranks.
#[test]
fn the_customers_of_a_real_shop_are_scored_and_ranked_as_counted_elsewhere() {
    let shop = Shop::new();
    let end = Timestamp::parse("1998-07-01").unwrap();
    shop.clock.set(end);
    let system = ExternalSystem::new("cdnow").unwrap();
    let facts = cdnow().into_iter().zip(0..).map(|((customer, at, cents), row)| {
        let order = OrderPlaced::new(Money::new(cents, Currency::USD));
        let who = Identifier::external(&system, &customer).unwrap();
        Incoming::new(who, at, Source::new("cdnow").unwrap(), order).with_key(format!("{row}").parse().unwrap())
    });
    shop.crm.ingest(facts, Ingestion::history()).unwrap();
    shop.crm.advance(end).unwrap();

    let rfm = shop.crm.rfm(Currency::USD).unwrap();
    assert_eq!((rfm.rows().len(), rfm.at), (2_357, end));
    let sizes = |of: fn(&RfmScore) -> u8| {
        [1, 2, 3, 4, 5].map(|score| rfm.rows().iter().filter(|row| of(&row.score.unwrap()) == score).count())
    };
    assert_eq!(sizes(|score| score.recency), [459, 478, 475, 474, 471]);
    assert_eq!(sizes(|score| score.frequency), [0, 0, 1_205, 614, 538]);
    assert_eq!(sizes(|score| score.monetary), [437, 505, 471, 472, 472]);
    let best = RfmScore { recency: 5, frequency: 5, monetary: 5 };
    assert_eq!(rfm.rows().iter().filter(|row| row.score == Some(best)).count(), 258);
    let groups = rfm.groups();
    assert_eq!(groups.values().map(|size| size.customers).sum::<u64>(), 2_357);
    assert_eq!(groups.values().map(|size| size.minor).sum::<i128>(), 24_409_194);
    assert!(groups[&RfmGroup::Champions].customers >= 258);

    let one = rfm.rows()[7];
    assert_eq!(shop.crm.rfm_of(one.customer, Currency::USD).unwrap(), Some(one));
    assert_eq!(shop.crm.rfm_of(one.customer, Currency::EUR).unwrap(), None);

    let brings = shop.crm.brings(Currency::USD).unwrap();
    assert_eq!(brings.total().revenue, 24_409_194);
    assert_eq!((brings.key().len(), brings.ranks().gini()), (777, Some(630_917)));
    assert_eq!(brings.share_of_top(472, ShareOf::Net), Some(674_550));
    assert_eq!(brings.costly().count(), 0);
    assert_eq!(shop.crm.brings(Currency::EUR).unwrap().rows().len(), 0);
}

#[test]
fn fixed_limits_score_one_customer_without_the_others() {
    let limits = BTreeMap::from([(Currency::EUR, vec![1_000, 5_000])]);
    let bands = RfmBands::new(vec![30, 90], vec![2, 5], limits).unwrap();
    let rfm = RfmPolicy { window: Some(Span::days(365)), scale: RfmScale::Bands(bands) };
    let shop = Shop::valued(ValuePolicy { rfm, ..ValuePolicy::default() });
    let ana = shop.order("ana", 1, 900);
    shop.order("ana", 20, 300);
    shop.until(40);
    let row = shop.crm.rfm_of(ana, Currency::EUR).unwrap().unwrap();
    assert_eq!(row.score, Some(RfmScore { recency: 3, frequency: 2, monetary: 2 }));
    assert_eq!((row.rfm.recency_days, row.rfm.monetary_minor), (20, 1_200));
    assert_eq!(shop.crm.rfm(Currency::EUR).unwrap().rows(), [row]);
    shop.until(400);
    assert_eq!(shop.crm.rfm_of(ana, Currency::EUR).unwrap(), None, "no order of the last year");
}

#[test]
fn who_asks_much_and_sends_much_back_costs_more_than_they_bring() {
    let service = ServiceCosts {
        order: 100,
        returned_order: 400,
        enquiry: 250,
        kinds: BTreeMap::from([(KindName::new("call").unwrap(), 1_000)]),
    };
    let products = BTreeMap::from([(ProductRef::new("mug").unwrap(), Cost::Piece(300))]);
    let costs = vec![CostPolicy { products, service, ..CostPolicy::new(Currency::EUR) }];
    let key =
        KeyPolicy { share_ppm: 700_000, segments: vec![SegmentName::new("press").unwrap()], ..KeyPolicy::default() };
    let shop = Shop::valued(ValuePolicy { brings: Brings::Margin, costs, key, ..ValuePolicy::default() });
    shop.crm
        .define(Timestamp::MIN, Definition::Kind(KindName::new("call").unwrap(), Some(KindSchema::default())))
        .unwrap();
    let press = shop.crm.rule(r#""press" in tags"#).unwrap();
    shop.crm.define(Timestamp::MIN, Definition::Segment(SegmentName::new("press").unwrap(), Some(press))).unwrap();

    let lines = |lines: Vec<Line>, total| OrderPlaced::new(eur(total)).with_lines(lines);
    let good = shop.tell("good", 1, lines(vec![mug(4, 4_000)], 4_500));
    let fair = shop.tell("fair", 1, lines(vec![mug(1, 1_000)], 1_000));
    // What the line says it cost goes before what the policy says.
    let own = shop.tell("own", 1, lines(vec![Line { cost_minor: Some(990), ..mug(1, 1_000) }], 1_000));
    let dear = shop.tell("dear", 1, lines(vec![mug(2, 2_000)], 2_000));
    shop.tell("dear", 2, Refunded { order: None, amount: eur(1_000) });
    shop.tell("dear", 3, Enquired { channel: Channel::Phone, subject: None });
    shop.tell("dear", 4, CustomFact::new(KindName::new("call").unwrap()));
    shop.tell("own", 4, Tagged { tag: Tag::new("press").unwrap() });
    shop.until(10);

    let report = shop.crm.brings(Currency::EUR).unwrap();
    let of = |id| *report.of(id).unwrap();
    let (brought, parts) = (of(good).minor(Brings::Margin), of(good).margin());
    assert_eq!((brought, parts.revenue, parts.covered, parts.cost), (2_700, 4_500, 4_000, 1_200));
    assert_eq!(parts.coverage(), Some(888_889), "shipping is not covered");
    assert_eq!(of(fair).minor(Brings::Margin), 1_000 - 300 - 100);
    assert_eq!(of(own).minor(Brings::Margin), 1_000 - 990 - 100);
    // Half came back and was sold again.
    assert_eq!((of(dear).revenue, of(dear).cost, of(dear).service), (1_000, 300, 100 + 400 + 250 + 1_000));
    let costly: Vec<_> = report.costly().map(|customer| (customer.customer, customer.minor)).collect();
    assert_eq!(costly, [(dear, -1_050), (own, -90)]);
    let key: Vec<_> = report.key().into_iter().map(|key| (key.customer, key.by_share, key.segments.len())).collect();
    assert_eq!(key, [(good, true, 0), (own, false, 1)]);
    assert_eq!(report.total().minor(Brings::Margin), 2_700 + 600 - 90 - 1_050);
}

#[test]
fn what_is_not_paid_in_time_is_told_order_by_order() {
    let debt = Some(DebtPolicy { due_after: Span::days(14), lost_after: Some(Span::days(90)) });
    let shop = Shop::valued(ValuePolicy { debt, ..ValuePolicy::default() });
    let slow = shop.tell("slow", 0, OrderPlaced::new(eur(1_000)).with_order(number("1")));
    shop.tell("slow", 5, OrderPlaced::new(eur(500)).with_order(number("2")));
    // It names the newer order, so the older one stays open.
    shop.tell("slow", 6, PaymentReceived { order: Some(number("2")), amount: eur(500) });
    let wrong = shop.tell("fine", 0, OrderPlaced::new(eur(700)));
    shop.tell("fine", 1, PaymentReceived { order: None, amount: eur(900) });
    shop.until(10);
    assert_eq!(shop.crm.debts(Currency::EUR).unwrap().unwrap().overdue, 0, "nothing is due yet");

    shop.until(20);
    let report = shop.crm.debts(Currency::EUR).unwrap().unwrap();
    assert_eq!((report.open, report.overdue, report.lost, report.credit), (1_000, 1_000, 0, 200));
    let debtor = &report.debtors[0];
    assert_eq!((debtor.customer, debtor.debt.parts.clone()), (slow, vec![(day(0), 1_000)]));
    assert_eq!(shop.crm.debt_of(wrong, Currency::EUR).unwrap().unwrap().debt.credit, 200);
    assert_eq!(shop.crm.brings(Currency::EUR).unwrap().of(slow).unwrap().lost, 0);

    shop.until(90);
    let debtor = shop.crm.debt_of(slow, Currency::EUR).unwrap().unwrap();
    assert_eq!((debtor.debt.overdue, debtor.lost), (1_000, 1_000));
    assert_eq!(shop.crm.brings(Currency::EUR).unwrap().of(slow).unwrap().minor(Brings::Revenue), 500);

    // A payment that came late, and one that was wrong.
    shop.tell("slow", 7, PaymentReceived { order: None, amount: eur(400) });
    let paid =
        Incoming::new(slow, day(8), Source::new("shop").unwrap(), PaymentReceived { order: None, amount: eur(1) });
    let paid = shop.crm.record(paid).unwrap().event;
    shop.tell("slow", 90, Voided { event: paid, reason: None });
    assert_eq!(shop.crm.debt_of(slow, Currency::EUR).unwrap().unwrap().debt.open, 600);
    assert_eq!(Shop::new().crm.debts(Currency::EUR).unwrap(), None, "a shop that tells of no payments");
}

#[test]
fn social_value_follows_ties_whoever_was_merged() {
    let popularity = PopularityPolicy {
        kinds: BTreeMap::from([(KindName::new("review").unwrap(), 10)]),
        follower: 2,
        half_life: Some(Span::days(30)),
    };
    let shop = Shop::valued(ValuePolicy { popularity, ..ValuePolicy::default() });
    let review = KindName::new("review").unwrap();
    shop.crm.define(Timestamp::MIN, Definition::Kind(review.clone(), Some(KindSchema::default()))).unwrap();
    let visit = || Visited { channel: Channel::Web, place: None };
    let [ada, ben, cem, dag] = ["ada", "ben", "cem", "dag"].map(|name| shop.tell(name, 0, visit()));
    shop.tie(ada, ben, TieKind::Referred);
    shop.tie(ben, cem, TieKind::Referred);
    shop.tie(dag, ada, TieKind::Follows);
    shop.order("ben", 2, 300);
    shop.order("cem", 2, 5_000);
    shop.tell("ada", 1, CustomFact::new(review.clone()));
    shop.tell("ada", 31, CustomFact::new(review.clone()));
    shop.until(31);

    let report = shop.crm.social(Currency::EUR).unwrap();
    let row = report.of(ada).unwrap();
    assert_eq!((row.ties, row.strength), (2, 2_000));
    assert_eq!((row.referrals.direct, row.referrals.direct_minor), (1, 300));
    assert_eq!((row.referrals.second, row.referrals.second_minor), (1, 5_000));
    assert_eq!((row.popularity.thousandths, row.popularity.followers), (10_000 + 5_000 + 2_000, 1));
    assert_eq!(row.popularity.kinds[&review], 15_000);
    let influence = |id| report.of(id).unwrap().influence.unwrap().relative;
    assert!(influence(ada) > influence(ben) && influence(ben) > influence(cem));

    // Dag turns out to be Cem: whom Ben brought, and who follows Ada.
    shop.crm.merge(cem, dag, Remark::new("the same").unwrap()).unwrap();
    let report = shop.crm.social(Currency::EUR).unwrap();
    assert_eq!(report.rows().len(), 3);
    assert_eq!(report.of(ben).unwrap().referrals.direct_minor, 5_000);
    assert_eq!(report.of(ada).unwrap().referrals.second_minor, 5_000);
}

fn composite(parts: &[(&str, u32)]) -> CompositePolicy {
    let part = |(name, weight): &(&str, u32)| PartRule {
        name: PartName::new(name).unwrap(),
        weight: *weight,
        better: Default::default(),
    };
    let tier =
        |name: &str, from| ValueTier { name: TierName::new(name).unwrap(), from_per_mille: from, treatment: None };
    CompositePolicy::new(parts.iter().map(part).collect(), vec![tier("gold", 700), tier("silver", 300)]).unwrap()
}

#[test]
fn one_value_is_put_together_of_weighted_parts_and_leads_to_a_tier() {
    let composite = composite(&[("brings", 3), ("referred_spend", 1), ("visits", 0)]);
    let shop = Shop::valued(ValuePolicy { composite: Some(composite), ..ValuePolicy::default() });
    let ana = shop.order("ana", 1, 1_000);
    let ben = shop.order("ben", 1, 9_000);
    let cem = shop.tell("cem", 1, Visited { channel: Channel::Web, place: None });
    shop.tie(cem, ben, TieKind::Referred);
    shop.until(5);
    let report = shop.crm.values(Currency::EUR).unwrap().unwrap();
    let of = |id| report.of(id).unwrap();
    assert_eq!((of(ben).per_mille, of(ben).tier), (750, Some(TierName::new("gold").unwrap())));
    assert_eq!((of(ana).per_mille, of(ana).tier), (0, None));
    // The only one who brought anybody, and who never ordered.
    let parts: Vec<_> = of(cem).parts.iter().map(|part| (part.value, part.per_mille)).collect();
    assert_eq!(parts, [(None, 0), (Some(9_000), 500), (Some(1), 1_000)]);
    assert_eq!(of(cem).per_mille, 125);
    let (tiers, none) = report.tiers();
    let sizes: Vec<_> = tiers.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!((sizes, none), (vec![("gold", 1), ("silver", 0)], 2));
    assert_eq!(report.iter().count(), report.len());
    assert_eq!(Shop::new().crm.values(Currency::EUR).unwrap(), None);
}

#[test]
fn a_policy_holds_from_its_instant_on_and_one_that_makes_no_sense_is_refused() {
    let shop = Shop::new();
    let policy = |policy: ValuePolicy| Definition::Value(Box::new(policy));
    let refused = |wrong: ValuePolicy| match shop.crm.define(day(0), policy(wrong)).unwrap_err() {
        Error::Definition(DefinitionError::Value(error)) => error,
        other => panic!("{other}"),
    };
    let unknown = ValuePolicy { composite: Some(composite(&[("luck", 1)])), ..ValuePolicy::default() };
    assert!(matches!(refused(unknown), ValueError::Measure { .. }));
    let twice = vec![CostPolicy::new(Currency::EUR), CostPolicy::new(Currency::EUR)];
    assert!(matches!(refused(ValuePolicy { costs: twice, ..Default::default() }), ValueError::Currency { .. }));
    let key = KeyPolicy { share_ppm: 1_000_001, ..KeyPolicy::default() };
    assert!(matches!(refused(ValuePolicy { key, ..Default::default() }), ValueError::Share { .. }));
    let debt = Some(DebtPolicy { due_after: Span::days(9), lost_after: Some(Span::days(8)) });
    assert!(matches!(refused(ValuePolicy { debt, ..Default::default() }), ValueError::Debt { .. }));
    let key = KeyPolicy { segments: vec![SegmentName::new("x").unwrap(); 65], ..KeyPolicy::default() };
    assert!(matches!(refused(ValuePolicy { key, ..Default::default() }), ValueError::TooMany { .. }));

    let key = |share_ppm| ValuePolicy { key: KeyPolicy { share_ppm, ..KeyPolicy::default() }, ..Default::default() };
    shop.crm.define(day(10), policy(key(500_000))).unwrap();
    shop.order("ana", 0, 600);
    shop.order("ben", 0, 400);
    assert_eq!(shop.crm.brings(Currency::EUR).unwrap().key().len(), 2);
    shop.until(10);
    assert_eq!(shop.crm.brings(Currency::EUR).unwrap().key().len(), 1);
}
