//! Coupons and vouchers: who may use them how often, what is kept for somebody and comes back, and that nobody gets one
//! too many however many ask at once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod redeemers;

use std::collections::BTreeMap;
use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    BatchName, Benefit, Channel, Command, Coupon, CouponCode, Currency, CustomerId, Definition, Error, ExternalSystem,
    IdSource, Identifier, Incoming, LoyaltyError, ManualClock, MemoryStore, Money, NoRandom, OrderPlaced, OrderRef,
    Period, Predicate, RedeemCoupon, Refunded, ReleaseCoupon, ReserveCoupon, Source, Span, Store, Tag, Tagged,
    TenantId, Timestamp, UseName, UsesPer, Visited, Voided, VoucherBatch, VoucherCode, WhenUndone,
};
use proptest::prelude::*;

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour * 3_600_000).unwrap()
}

fn who(n: usize) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap()
}

fn why() -> crm::Remark {
    "test".parse().unwrap()
}

fn spring() -> CouponCode {
    CouponCode::new("SPRING").unwrap()
}

fn named(name: impl std::fmt::Display) -> UseName {
    UseName::new(name.to_string()).unwrap()
}

fn number(n: usize) -> OrderRef {
    OrderRef::new(format!("o-{n}")).unwrap()
}

fn ten_off() -> Coupon {
    Coupon::new(Benefit::PercentOff(10))
}

/// A CRM over a store, with a coupon, some customers, and a clock at the first hour.
fn shop_on(store: Arc<dyn Store>, coupon: Coupon, customers: usize) -> (Arc<ManualClock>, Crm, Vec<CustomerId>) {
    let clock = Arc::new(ManualClock::at(hour(1)));
    let crm = crm::Crm::builder().shared_store(store).clock(Arc::clone(&clock)).ids(crm::DerivedIds).build();
    let crm = Crm::from(crm);
    crm.define(hour(0), Definition::Coupon(spring(), Some(Box::new(coupon)))).unwrap();
    let ids = (0..customers).map(|n| came(&crm, n)).collect();
    (clock, crm, ids)
}

fn shop(coupon: Coupon, customers: usize) -> (Arc<ManualClock>, Crm, Vec<CustomerId>) {
    shop_on(Arc::new(MemoryStore::new()), coupon, customers)
}

fn came(crm: &Crm, n: usize) -> CustomerId {
    let visit = Visited { channel: Channel::Web, place: None };
    crm.record(Incoming::new(who(n), crm.now(), Source::new("shop").unwrap(), visit)).unwrap().customer
}

fn ordered(crm: &Crm, customer: CustomerId, n: usize, minor: i64) -> crm::EventId {
    let placed = OrderPlaced::new(Money::new(minor, Currency::EUR)).with_order(number(n));
    let told = Incoming::new(customer, crm.now(), Source::new("shop").unwrap(), placed);
    crm.record(told.with_key(format!("order {n}").parse().unwrap())).unwrap().event
}

fn told(crm: &Crm, customer: CustomerId, fact: impl Into<crm::Fact>, key: &str) {
    let told = Incoming::new(customer, crm.now(), Source::new("shop").unwrap(), fact);
    crm.record(told.with_key(key.parse().unwrap())).unwrap();
}

fn redeem(name: impl std::fmt::Display, order: Option<usize>) -> Command {
    Command::RedeemCoupon(RedeemCoupon { coupon: spring(), name: named(name), order: order.map(number), voucher: None })
}

fn reserve(name: impl std::fmt::Display, until: i64) -> Command {
    let expires_at = hour(until);
    Command::ReserveCoupon(ReserveCoupon { coupon: spring(), name: named(name), expires_at, voucher: None })
}

fn release(name: impl std::fmt::Display) -> Command {
    Command::ReleaseCoupon(ReleaseCoupon { coupon: spring(), name: named(name) })
}

/// Carries out a command, under a key that was never used.
fn ask(crm: &Crm, customer: CustomerId, command: Command) -> Result<usize, LoyaltyError> {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let key = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    loyal(crm.execute(customer, command, &format!("key {key}"))).map(|done| done.events.len())
}

fn loyal<T: std::fmt::Debug>(answer: Result<T, Error>) -> Result<T, LoyaltyError> {
    match answer {
        Ok(answer) => Ok(answer),
        Err(Error::Refused(crm::Refusal::Loyalty(refusal))) => Err(refusal),
        Err(other) => panic!("{other:?}"),
    }
}

/// How many uses of the coupon count, by all customers: what the next ones are refused with tells.
fn uses_left(crm: &Crm, customer: CustomerId) -> usize {
    let made: Vec<_> = (0..100).map_while(|n| ask(crm, customer, redeem(format!("probe {n}"), None)).ok()).collect();
    for n in 0..made.len() {
        ask(crm, customer, release(format!("probe {n}"))).unwrap();
    }
    made.len()
}

#[test]
fn a_coupon_is_used_as_often_as_each_and_all_may_and_says_which_limit_it_was() {
    let (_, crm, ids) = shop(ten_off().with_uses(3).with_each(2), 2);
    assert_eq!(ask(&crm, ids[0], redeem("a", None)), Ok(1));
    assert_eq!(ask(&crm, ids[0], redeem("a", None)), Ok(0), "the same use once more is none");
    assert_eq!(ask(&crm, ids[0], redeem("b", None)), Ok(1));
    let often = LoyaltyError::CouponUsedByCustomer { coupon: spring(), uses: 2 };
    assert_eq!(ask(&crm, ids[0], redeem("c", None)), Err(often));
    assert_eq!(ask(&crm, ids[1], redeem("a", None)), Ok(1));
    let up = LoyaltyError::CouponUsedUp { coupon: spring(), uses: 3 };
    assert_eq!(ask(&crm, ids[1], redeem("b", None)), Err(up));
    assert_eq!(crm.customer(ids[1]).unwrap().unwrap().coupon_uses(&spring()).len(), 1);
    // A new version may allow more; what was used counts.
    crm.define(hour(1), Definition::Coupon(spring(), Some(Box::new(ten_off().with_uses(4))))).unwrap();
    assert_eq!(ask(&crm, ids[1], redeem("b", None)), Ok(1));
    assert_eq!(ask(&crm, ids[1], redeem("c", None)), Err(LoyaltyError::CouponUsedUp { coupon: spring(), uses: 4 }));
}

#[test]
fn a_coupon_is_used_so_often_in_each_stretch_of_the_calendar() {
    let per =
        Some(UsesPer { uses: 1, period: Period::Day, zone: crm::TimeZone::new("Europe/Lisbon").unwrap().rules() });
    let (clock, crm, ids) = shop(Coupon { per, ..ten_off() }, 1);
    assert_eq!(ask(&crm, ids[0], redeem("a", None)), Ok(1));
    let refused = ask(&crm, ids[0], redeem("b", None));
    // In 1970 Lisbon was an hour ahead all year.
    let until = hour(23);
    assert_eq!(refused, Err(LoyaltyError::CouponUsedInPeriod { coupon: spring(), uses: 1, until }));
    clock.set(until);
    assert_eq!(ask(&crm, ids[0], redeem("b", None)), Ok(1));
}

#[test]
fn a_coupon_is_for_those_whom_its_rule_means_and_only_in_its_time() {
    let vip = Tag::new("vip").unwrap();
    let (from, until, when) = (Some(hour(10)), Some(hour(20)), Some(Predicate::tag(&vip)));
    let (clock, crm, ids) = shop(Coupon { from, until, when, ..ten_off() }, 1);
    let outside = || LoyaltyError::CouponNotValid { coupon: spring(), from: Some(hour(10)), until: Some(hour(20)) };
    assert_eq!(ask(&crm, ids[0], redeem("a", None)), Err(outside()));
    clock.set(hour(10));
    assert_eq!(ask(&crm, ids[0], redeem("a", None)), Err(LoyaltyError::CouponNotFor { coupon: spring() }));
    told(&crm, ids[0], Tagged { tag: vip }, "tag");
    assert_eq!(ask(&crm, ids[0], redeem("a", None)), Ok(1));
    clock.set(hour(20));
    assert_eq!(ask(&crm, ids[0], redeem("b", None)), Err(outside()));
    let none = CouponCode::new("NONE").unwrap();
    let other = RedeemCoupon { coupon: none.clone(), name: named("a"), order: None, voucher: None };
    assert_eq!(ask(&crm, ids[0], Command::RedeemCoupon(other)), Err(LoyaltyError::NoCoupon { coupon: none }));
}

#[test]
fn what_is_reserved_counts_until_it_is_used_or_released_or_its_time_is_over() {
    let (clock, crm, ids) = shop(ten_off().with_uses(2).with_each(1), 4);
    assert_eq!(ask(&crm, ids[0], reserve("cart", 5)), Ok(1));
    assert_eq!(ask(&crm, ids[1], reserve("cart", 9)), Ok(1));
    let up = Err(LoyaltyError::CouponUsedUp { coupon: spring(), uses: 2 });
    assert_eq!(ask(&crm, ids[2], redeem("cart", None)), up);
    assert_eq!(ask(&crm, ids[0], redeem("other", None)), Err(LoyaltyError::CouponUsed { coupon: spring() }));
    assert!(!crm.customer(ids[0]).unwrap().unwrap().used_coupon(&spring()), "it is only kept for them");
    assert_eq!(ask(&crm, ids[2], reserve("cart", 1)), Err(LoyaltyError::ReservationOver { at: hour(1) }));
    // The one is used in time, and its time being over changes nothing; the other comes back.
    clock.set(hour(4));
    assert_eq!(ask(&crm, ids[0], redeem("cart", None)), Ok(1));
    crm.advance(hour(8)).unwrap();
    assert_eq!(ask(&crm, ids[2], redeem("cart", None)), up);
    clock.set(hour(9));
    crm.advance(hour(9)).unwrap();
    assert_eq!(crm.customer(ids[1]).unwrap().unwrap().coupon_uses(&spring()), []);
    assert_eq!(
        ask(&crm, ids[1], release("cart")),
        Err(LoyaltyError::NoCouponUse { coupon: spring(), name: named("cart") })
    );
    assert_eq!(ask(&crm, ids[2], reserve("cart", 99)), Ok(1));
    assert_eq!(ask(&crm, ids[2], release("cart")), Ok(1));
    assert_eq!(ask(&crm, ids[3], redeem("cart", None)), Ok(1));
    assert_eq!(ask(&crm, ids[2], redeem("cart", None)), up);
    assert!(crm.customer(ids[0]).unwrap().unwrap().used_coupon(&spring()));
}

#[test]
fn what_was_reserved_is_honoured_though_the_coupon_ended() {
    let (clock, crm, ids) = shop(ten_off().with_uses(1), 1);
    ask(&crm, ids[0], reserve("cart", 50)).unwrap();
    crm.define(hour(2), Definition::Coupon(spring(), None)).unwrap();
    clock.set(hour(3));
    assert_eq!(ask(&crm, ids[0], redeem("new", None)), Err(LoyaltyError::NoCoupon { coupon: spring() }));
    assert_eq!(ask(&crm, ids[0], redeem("cart", None)), Ok(1));
}

#[test]
fn a_coupon_comes_back_with_an_order_that_is_undone_once_and_only_if_its_terms_say_so() {
    for (undone, voided) in
        [WhenUndone::Released, WhenUndone::Forfeited].into_iter().flat_map(|u| [(u, false), (u, true)])
    {
        let (_, crm, ids) = shop(Coupon { undone, ..ten_off().with_uses(1) }, 1);
        // It is used before the order is told.
        ask(&crm, ids[0], redeem("a", Some(1))).unwrap();
        let event = ordered(&crm, ids[0], 1, 1_000);
        let part = Refunded { order: Some(number(1)), amount: Money::new(999, Currency::EUR) };
        told(&crm, ids[0], part, "part");
        assert_eq!(crm.customer(ids[0]).unwrap().unwrap().coupon_uses(&spring()).len(), 1, "a cent is left of it");
        if voided {
            told(&crm, ids[0], Voided { event, reason: None }, "void");
        } else {
            let rest = Refunded { order: Some(number(1)), amount: Money::new(1, Currency::EUR) };
            told(&crm, ids[0], rest, "rest");
        }
        let there = crm.customer(ids[0]).unwrap().unwrap().coupon_uses(&spring()).len();
        assert_eq!(there, usize::from(undone == WhenUndone::Forfeited), "{undone:?} {voided}");
        let again = ask(&crm, ids[0], redeem("b", None));
        assert_eq!(again.is_ok(), undone == WhenUndone::Released);
        if undone == WhenUndone::Forfeited {
            assert_eq!(ask(&crm, ids[0], release("a")), Err(LoyaltyError::CouponForfeited { coupon: spring() }));
        }
        // Whatever is told of the order from now on.
        told(&crm, ids[0], Refunded { order: Some(number(1)), amount: Money::new(5, Currency::EUR) }, "more");
        assert_eq!(uses_left(&crm, ids[0]), 0);
    }
}

#[test]
fn a_coupon_is_not_used_with_an_order_that_was_voided_before() {
    let (_, crm, ids) = shop(ten_off().with_uses(1), 1);
    ask(&crm, ids[0], reserve("a", 50)).unwrap();
    let event = ordered(&crm, ids[0], 1, 1_000);
    told(&crm, ids[0], Voided { event, reason: None }, "void");
    let voided = || Err(LoyaltyError::OrderVoided { order: number(1) });
    assert_eq!(ask(&crm, ids[0], redeem("a", Some(1))), voided(), "though it was reserved");
    assert_eq!(ask(&crm, ids[0], release("a")), Ok(1));
    assert_eq!(ask(&crm, ids[0], redeem("b", Some(1))), voided());
    assert_eq!(ask(&crm, ids[0], redeem("b", Some(2))), Ok(1));
}

#[test]
fn merged_customers_count_together_and_parted_each_their_own() {
    let (_, crm, ids) = shop(ten_off().with_each(2), 2);
    ask(&crm, ids[0], redeem("a", None)).unwrap();
    ask(&crm, ids[1], reserve("b", 50)).unwrap();
    crm.merge(ids[0], ids[1], why()).unwrap();
    let often = LoyaltyError::CouponUsedByCustomer { coupon: spring(), uses: 2 };
    assert_eq!(ask(&crm, ids[0], redeem("c", None)), Err(often));
    // What one of them reserved the other can use, and it stays with who reserved it.
    assert_eq!(ask(&crm, ids[0], redeem("b", None)), Ok(1));
    crm.part(ids[0], ids[1], why()).unwrap();
    let uses = |n: usize| crm.customer(ids[n]).unwrap().unwrap().coupon_uses(&spring()).to_vec();
    assert_eq!((uses(0).len(), uses(1).len()), (1, 1));
    assert_eq!((uses(1)[0].name.clone(), uses(1)[0].until), (Some(named("b")), None));
    assert_eq!(ask(&crm, ids[0], redeem("c", None)), Ok(1));
}

fn batch(name: &str, expires_at: Option<Timestamp>) -> VoucherBatch {
    VoucherBatch { name: BatchName::new(name).unwrap(), coupon: spring(), expires_at }
}

fn by_code(crm: &Crm, customer: CustomerId, code: &VoucherCode, name: &str) -> Result<usize, LoyaltyError> {
    let key = format!("{customer} {name} {}", crm.now().as_millis());
    loyal(crm.redeem_voucher(customer, code, named(name), None, &key)).map(|done| done.events.len())
}

#[test]
fn a_voucher_is_used_once_by_whoever_has_its_code() {
    let (clock, crm, ids) = shop(ten_off().by_voucher(), 3);
    assert_eq!(ask(&crm, ids[0], redeem("a", None)), Err(LoyaltyError::VoucherNeeded { coupon: spring() }));
    let codes = crm.issue_vouchers(&batch("flyer", Some(hour(50))), 600).unwrap();
    let mut texts: Vec<String> = codes.iter().map(VoucherCode::expose).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 600);
    assert_eq!(by_code(&crm, ids[0], &codes[0], "a"), Ok(1));
    assert_eq!(by_code(&crm, ids[0], &codes[0], "b"), Err(LoyaltyError::VoucherUsed));
    assert_eq!(by_code(&crm, ids[1], &codes[0], "a"), Err(LoyaltyError::VoucherUsed));
    // The same request again is answered alike, and under another name for the use nothing is taken.
    let key = format!("{} a {}", ids[0], crm.now().as_millis());
    assert!(crm.redeem_voucher(ids[0], &codes[0], named("a"), None, &key).unwrap().replayed);
    let taken = LoyaltyError::UseNameTaken { coupon: spring(), name: named("a") };
    clock.set(hour(2));
    assert_eq!(by_code(&crm, ids[0], &codes[1], "a"), Err(taken));
    assert_eq!(by_code(&crm, ids[1], &codes[1], "a"), Ok(1));
    // What was never issued, and what is too old.
    let (_, other, _) = shop(ten_off(), 0);
    let unknown = other.issue_vouchers(&batch("other", None), 1).unwrap();
    assert_eq!(by_code(&crm, ids[2], &unknown[0], "a"), Err(LoyaltyError::NoVoucher));
    clock.set(hour(50));
    assert_eq!(by_code(&crm, ids[2], &codes[2], "a"), Err(LoyaltyError::VoucherExpired { at: hour(50) }));
    assert!(!format!("{codes:?}").contains(&texts[0]));
}

#[test]
fn what_is_kept_of_vouchers_is_no_customer_and_has_no_code() {
    let store = Arc::new(MemoryStore::new());
    let (_, crm, ids) = shop_on(Arc::clone(&store) as Arc<dyn Store>, ten_off(), 2);
    let codes = crm.issue_vouchers(&batch("flyer", None), 3).unwrap();
    let given = crm.issue_voucher(ids[0], &spring(), None).unwrap();
    by_code(&crm, ids[1], &codes[0], "a").unwrap();
    let overview = crm.overview().unwrap();
    assert_eq!(overview.customers, 2);
    let nobody = CustomerId::of_vouchers(crm.as_async().tenant_id(), "SPRING", "flyer");
    assert!(crm.customer(nobody).unwrap().is_none());
    assert!(matches!(crm.execute(nobody, redeem("a", None), "k"), Err(Error::NoCustomer { .. })));
    assert_eq!(crm.select(&Predicate::missing(crm::Attribute::AverageOrder), None, 10).unwrap().customers, {
        let mut ids = ids.clone();
        ids.sort_unstable();
        ids
    });
    let kept = format!("{:?} {:?}", crm.story(ids[0]).unwrap(), crm.export(ids[1]).unwrap());
    for code in codes.iter().chain([&given.code]) {
        let text = code.expose();
        assert!(!kept.contains(&text) && !kept.contains(&text.replace('-', "")));
    }
    assert_eq!(crm.refresh().unwrap(), 0);
}

#[test]
fn a_voucher_that_was_given_to_somebody_is_theirs_alone() {
    let (_, crm, ids) = shop(ten_off().by_voucher(), 3);
    let given = crm.issue_voucher(ids[0], &spring(), None).unwrap();
    assert_eq!(by_code(&crm, ids[1], &given.code, "a"), Err(LoyaltyError::VoucherNotTheirs));
    // They need not type the code, and who was merged with them has it too.
    let by_id = |name: &str| {
        let (coupon, name, voucher) = (spring(), named(name), Some(given.voucher));
        Command::RedeemCoupon(RedeemCoupon { coupon, name, order: None, voucher })
    };
    assert_eq!(ask(&crm, ids[1], by_id("a")), Err(LoyaltyError::NoVoucher));
    crm.merge(ids[0], ids[2], why()).unwrap();
    assert_eq!(ask(&crm, ids[2], by_id("a")), Ok(1));
    assert_eq!(ask(&crm, ids[0], by_id("b")), Err(LoyaltyError::VoucherUsed));
    assert_eq!(by_code(&crm, ids[1], &given.code, "a"), Err(LoyaltyError::VoucherUsed));
    // It was of the first one, and its use stays with them.
    crm.part(ids[0], ids[2], why()).unwrap();
    let uses = |n: usize| crm.customer(ids[n]).unwrap().unwrap().coupon_uses(&spring()).len();
    assert_eq!((uses(0), uses(2)), (1, 0));
    assert_eq!(by_code(&crm, ids[2], &given.code, "c"), Err(LoyaltyError::VoucherUsed));
}

#[test]
fn a_voucher_that_is_kept_for_somebody_goes_back_where_it_was() {
    let (clock, crm, ids) = shop(ten_off().by_voucher(), 2);
    let codes = crm.issue_vouchers(&batch("flyer", None), 2).unwrap();
    let keep = |n: usize, code: &VoucherCode, name: &str, until: i64, key: &str| {
        loyal(crm.reserve_voucher(ids[n], code, named(name), hour(until), key)).map(|done| done.events.len())
    };
    assert_eq!(keep(0, &codes[0], "cart", 5, "1"), Ok(1));
    assert_eq!(keep(1, &codes[0], "cart", 5, "2"), Err(LoyaltyError::VoucherUsed));
    clock.set(hour(5));
    crm.advance(hour(5)).unwrap();
    assert_eq!(keep(1, &codes[0], "cart", 9, "3"), Ok(1));
    // By the name alone it is used as well as by the code.
    assert_eq!(ask(&crm, ids[1], redeem("cart", Some(1))), Ok(1));
    ordered(&crm, ids[1], 1, 100);
    assert_eq!(by_code(&crm, ids[0], &codes[0], "x"), Err(LoyaltyError::VoucherUsed));
    told(&crm, ids[1], Refunded { order: Some(number(1)), amount: Money::new(100, Currency::EUR) }, "back");
    assert_eq!(by_code(&crm, ids[0], &codes[0], "x"), Ok(1));
    // Over and kept anew by the same customer, all in one go.
    assert_eq!(keep(1, &codes[1], "late", 6, "4"), Ok(1));
    clock.set(hour(7));
    assert_eq!(keep(1, &codes[1], "late", 8, "5"), Ok(1));
    clock.set(hour(9));
    assert_eq!(by_code(&crm, ids[1], &codes[1], "late"), Ok(1));
    assert_eq!(crm.customer(ids[1]).unwrap().unwrap().coupon_uses(&spring()).len(), 1);
}

#[test]
fn a_blocked_voucher_is_refused_and_a_used_one_cannot_be_blocked() {
    let (_, crm, ids) = shop(ten_off(), 2);
    let codes = crm.issue_vouchers(&batch("flyer", None), 4).unwrap();
    let given = crm.issue_voucher(ids[0], &spring(), None).unwrap();
    by_code(&crm, ids[0], &codes[0], "a").unwrap();
    assert_eq!(loyal(crm.block_voucher(&codes[0])), Err(LoyaltyError::VoucherUsed));
    assert_eq!(loyal(crm.block_voucher(&codes[1])), Ok(true));
    assert_eq!(loyal(crm.block_voucher(&codes[1])), Ok(false));
    assert_eq!(loyal(crm.block_voucher(&given.code)), Ok(true));
    assert_eq!(loyal(crm.block_voucher(&given.code)), Ok(false));
    for code in [&codes[1], &given.code] {
        assert_eq!(by_code(&crm, ids[0], code, "b"), Err(LoyaltyError::VoucherBlocked));
        assert_eq!(by_code(&crm, ids[1], code, "b"), Err(LoyaltyError::VoucherBlocked));
    }
    let flyer = BatchName::new("flyer").unwrap();
    assert_eq!(loyal(crm.block_vouchers(&spring(), &flyer)), Ok(4));
    assert_eq!(by_code(&crm, ids[1], &codes[2], "b"), Err(LoyaltyError::VoucherBlocked));
    assert_eq!(loyal(crm.issue_vouchers(&batch("flyer", None), 1)), Err(LoyaltyError::BatchTaken { batch: flyer }));
    let none = BatchName::new("none").unwrap();
    assert_eq!(loyal(crm.block_vouchers(&spring(), &none)), Err(LoyaltyError::NoVoucher));
}

#[test]
fn issuing_has_its_limits() {
    let (_, crm, _) = shop(ten_off(), 0);
    crm.issue_vouchers(&batch("one", None), 1).unwrap();
    let other_end = loyal(crm.issue_vouchers(&batch("one", Some(hour(9))), 1));
    assert_eq!(other_end, Err(LoyaltyError::BatchTaken { batch: BatchName::new("one").unwrap() }));
    for vouchers in [0, crm::VOUCHERS_AT_ONCE_MAX + 1, u32::MAX] {
        let refused = loyal(crm.issue_vouchers(&batch("one", None), vouchers));
        assert_eq!(refused, Err(LoyaltyError::VouchersAtOnce { vouchers, max: crm::VOUCHERS_AT_ONCE_MAX }));
    }
    let no_coupon = VoucherBatch { coupon: CouponCode::new("NONE").unwrap(), ..batch("one", None) };
    let refused = loyal(crm.issue_vouchers(&no_coupon, 1));
    assert_eq!(refused, Err(LoyaltyError::NoCoupon { coupon: no_coupon.coupon }));
}

/// Draws the same bytes over and over: what is told of a broken source.
#[derive(Debug)]
struct Dry;

impl IdSource for Dry {
    fn customer_id(&self, tenant: &TenantId, key: &crm::IdentifierKey, at: Timestamp, taken: u32) -> CustomerId {
        crm::DerivedIds.customer_id(tenant, key, at, taken)
    }

    fn secret(&self, _: &mut [u8]) -> Result<(), NoRandom> {
        Err(NoRandom)
    }
}

#[test]
fn without_anything_random_no_voucher_is_issued() {
    let crm = Crm::from(crm::Crm::builder().ids(Dry).build());
    crm.define(hour(0), Definition::Coupon(spring(), Some(Box::new(ten_off())))).unwrap();
    assert!(matches!(crm.issue_vouchers(&batch("one", None), 1), Err(Error::Random(NoRandom))));
}

#[test]
fn uses_and_vouchers_come_back_from_an_export_and_count_there() {
    let (_, crm, ids) = shop(ten_off().with_uses(2), 1);
    ask(&crm, ids[0], redeem("a", None)).unwrap();
    ask(&crm, ids[0], redeem("b", None)).unwrap();
    ask(&crm, ids[0], release("b")).unwrap();
    let export = crm.export(ids[0]).unwrap().unwrap();
    let (_, again, _) = shop(ten_off().with_uses(2), 0);
    again.import(&export).unwrap();
    let other = came(&again, 9);
    assert_eq!(ask(&again, other, redeem("a", None)), Ok(1));
    assert_eq!(ask(&again, other, redeem("b", None)), Err(LoyaltyError::CouponUsedUp { coupon: spring(), uses: 2 }));
    assert_eq!(again.customer(ids[0]).unwrap().unwrap().digest(), crm.customer(ids[0]).unwrap().unwrap().digest());
}

#[test]
fn a_voucher_that_is_taken_in_with_its_customer_can_still_be_given_back() {
    let (_, crm, ids) = shop(ten_off(), 1);
    let code = crm.issue_vouchers(&batch("flyer", None), 1).unwrap().remove(0);
    crm.reserve_voucher(ids[0], &code, named("cart"), hour(5), "keep").unwrap();
    let given = crm.issue_voucher(ids[0], &spring(), None).unwrap();
    let (clock, again, _) = shop(ten_off(), 0);
    again.import(&crm.export(ids[0]).unwrap().unwrap()).unwrap();
    let other = came(&again, 9);
    assert_eq!(by_code(&again, other, &given.code, "a"), Err(LoyaltyError::VoucherNotTheirs));
    assert_eq!(by_code(&again, other, &code, "a"), Err(LoyaltyError::VoucherUsed));
    assert_eq!(by_code(&again, ids[0], &given.code, "a"), Ok(1));
    clock.set(hour(6));
    again.advance(hour(6)).unwrap();
    // Its batch is not here.
    assert_eq!(by_code(&again, other, &code, "a"), Err(LoyaltyError::NoVoucher));
}

/// What is asked of a coupon, by one of three customers.
#[derive(Debug, Clone)]
enum Step {
    Reserve(usize, u8, i64),
    Redeem(usize, u8),
    Release(usize, u8),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..4_u8;
    prop_oneof![
        3 => (0..3_usize, name(), 0..12_i64).prop_map(|(n, name, lasts)| Step::Reserve(n, name, lasts)),
        4 => (0..3_usize, name()).prop_map(|(n, name)| Step::Redeem(n, name)),
        2 => (0..3_usize, name()).prop_map(|(n, name)| Step::Release(n, name)),
        2 => (1..9_i64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A coupon does what somebody would do who keeps a list of its uses on paper.
    #[test]
    fn a_coupon_follows_the_list_that_somebody_keeps_on_paper(
        steps in proptest::collection::vec(step(), 0..40), uses in 1..6_u32, each in 1..4_u32,
    ) {
        let (clock, crm, ids) = shop(ten_off().with_uses(uses).with_each(each), 3);
        // By customer and name: until when it is kept, if it is.
        let mut paper: BTreeMap<(usize, u8), Option<i64>> = BTreeMap::new();
        let mut now = 1;
        for step in steps {
            let own = |paper: &BTreeMap<(usize, u8), Option<i64>>, n| paper.keys().filter(|(of, _)| *of == n).count();
            match step {
                Step::Wait(hours) => {
                    now += hours;
                    clock.set(hour(now));
                    crm.advance(hour(now)).unwrap();
                    paper.retain(|_, until| until.is_none_or(|until| until > now));
                }
                Step::Release(n, name) => {
                    let there = paper.remove(&(n, name)).is_some();
                    prop_assert_eq!(ask(&crm, ids[n], release(name)).is_ok(), there);
                }
                Step::Reserve(n, name, lasts) => {
                    let until = now + lasts;
                    let asked = ask(&crm, ids[n], reserve(name, until));
                    let room = own(&paper, n) < each as usize && paper.len() < uses as usize && lasts > 0;
                    match paper.get(&(n, name)) {
                        Some(_) => prop_assert_eq!(asked, Ok(0)),
                        None if room => {
                            prop_assert_eq!(asked, Ok(1));
                            paper.insert((n, name), Some(until));
                        }
                        None => prop_assert!(asked.is_err()),
                    }
                }
                Step::Redeem(n, name) => {
                    let asked = ask(&crm, ids[n], redeem(name, None));
                    let room = own(&paper, n) < each as usize && paper.len() < uses as usize;
                    match paper.get(&(n, name)) {
                        Some(None) => prop_assert_eq!(asked, Ok(0)),
                        Some(Some(_)) => prop_assert_eq!(asked, Ok(1)),
                        None => prop_assert_eq!(asked.is_ok(), room),
                    }
                    if room || paper.contains_key(&(n, name)) {
                        paper.insert((n, name), None);
                    }
                }
            }
            for (n, id) in ids.iter().enumerate() {
                let there: BTreeMap<(usize, u8), Option<i64>> = crm.customer(*id).unwrap().unwrap()
                    .coupon_uses(&spring())
                    .iter()
                    .map(|used| {
                        let name = used.name.as_ref().unwrap().as_str().parse().unwrap();
                        ((n, name), used.until.map(|until| until.as_millis() / 3_600_000))
                    })
                    .collect();
                let own = paper.iter().filter(|((of, _), _)| *of == n).map(|(use_of, until)| (*use_of, *until)).collect();
                prop_assert_eq!(there, own);
            }
        }
    }
}

fn hold_against_many(store: Arc<dyn Store>) {
    redeemers::a_coupon(&store);
    redeemers::a_voucher(&store);
}

#[test]
fn of_thirty_two_at_once_as_many_get_a_coupon_as_may_in_memory() {
    hold_against_many(Arc::new(MemoryStore::new()));
}

#[cfg(feature = "sqlite")]
#[test]
fn of_thirty_two_at_once_as_many_get_a_coupon_as_may_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    hold_against_many(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
}

#[test]
fn a_coupon_that_cannot_be_kept_is_refused_as_a_definition() {
    let at = Some(hour(5));
    let bad = [
        Coupon { uses: Some(0), ..ten_off() },
        Coupon { each: Some(0), ..ten_off() },
        Coupon { from: at, until: at, ..ten_off() },
        Coupon::new(Benefit::PercentOff(0)),
        Coupon::new(Benefit::PercentOff(101)),
        Coupon::new(Benefit::AmountOff(Money::new(0, Currency::EUR))),
        Coupon {
            when: Some(Predicate::WasIn(crm::SegmentName::new("vip").unwrap(), Some(Span::days(1)))),
            ..ten_off()
        },
    ];
    let crm = Crm::in_memory();
    for coupon in bad {
        let refused = crm.define(hour(0), Definition::Coupon(spring(), Some(Box::new(coupon.clone()))));
        assert!(matches!(refused, Err(Error::Definition(crm::DefinitionError::Rewards { .. }))), "{coupon:?}");
    }
}
