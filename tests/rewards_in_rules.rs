//! Store credit, vouchers, uses of coupons and badges in rules: segments move when they do, also when it is time that
//! moves them, and a question to the store is answered alike.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Badge, Benefit, Channel, Command, Coupon, CouponCode, Currency, CustomerId, Definition, GrantCredit, Identifier,
    Incoming, ManualClock, MemoryStore, Money, OrderPlaced, SegmentName, Source, SpendCredit, Store, Timestamp,
    UseName, Visited,
};

fn hour(hour: u32) -> Timestamp {
    Timestamp::parse("2026-01-05").unwrap().plus(crm::Span::millis(u64::from(hour) * 3_600_000))
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn ten() -> CouponCode {
    CouponCode::new("TEN").unwrap()
}

const SEGMENTS: [(&str, &str); 5] = [
    ("rich", r#"credit("EUR") >= 5"#),
    ("holders", r#"vouchers("TEN") > 0"#),
    ("users", r#"coupon_uses("TEN") == 1"#),
    ("proud", r#"badge("buyer")"#),
    ("wanting", r#"vouchers("TEN") == 0 && !("buyer" in badges)"#),
];

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    ana: CustomerId,
}

impl Shop {
    fn over(store: Arc<dyn Store>) -> Self {
        let clock = Arc::new(ManualClock::at(hour(0)));
        let crm: Crm = crm::Crm::builder().shared_store(store).clock(Arc::clone(&clock)).build().into();
        let coupon = Coupon::new(Benefit::PercentOff(10));
        crm.define(Timestamp::MIN, Definition::Coupon(ten(), Some(Box::new(coupon)))).unwrap();
        let badge = Badge::new(crm.rule("orders >= 1").unwrap());
        crm.define(Timestamp::MIN, Definition::Badge("buyer".parse().unwrap(), Some(Box::new(badge)))).unwrap();
        for (name, rule) in SEGMENTS {
            let rule = crm.rule(rule).unwrap();
            crm.define(Timestamp::MIN, Definition::Segment(SegmentName::new(name).unwrap(), Some(rule))).unwrap();
        }
        let visit = Visited { channel: Channel::Web, place: None };
        let who = Identifier::email("ana@example.com").unwrap();
        let ana = crm.record(Incoming::new(who, hour(0), Source::new("shop").unwrap(), visit)).unwrap().customer;
        Shop { crm, clock, ana }
    }

    fn execute(&self, command: impl Into<Command>, key: &str) {
        self.crm.execute(self.ana, command.into(), key).unwrap();
    }

    fn until(&self, to: u32) {
        self.clock.set(hour(to));
        self.crm.advance(hour(to)).unwrap();
    }

    /// The segments that she is in, which are those whose rules the store answers with her.
    fn is_in(&self) -> Vec<&'static str> {
        let customer = self.crm.customer(self.ana).unwrap().unwrap();
        let is_in = |name: &str| customer.standing().is_in(&SegmentName::new(name).unwrap());
        for (name, rule) in SEGMENTS {
            let asked = self.crm.count(&self.crm.rule(rule).unwrap()).unwrap();
            assert_eq!(asked == 1, is_in(name), "{name}");
        }
        SEGMENTS.iter().map(|(name, _)| *name).filter(|name| is_in(name)).collect()
    }
}

fn segments_follow(store: Arc<dyn Store>) {
    let shop = Shop::over(store);
    assert_eq!(shop.is_in(), ["wanting"]);

    let sorry = GrantCredit { amount: eur(1_000), reason: "late".parse().unwrap(), expires_at: Some(hour(100)) };
    shop.execute(sorry, "sorry");
    assert_eq!(shop.is_in(), ["rich", "wanting"]);
    shop.execute(SpendCredit { amount: eur(501), order: None }, "spend");
    assert_eq!(shop.is_in(), ["wanting"], "4.99 are left");
    let more = GrantCredit { amount: eur(500), reason: "again".parse().unwrap(), expires_at: Some(hour(100)) };
    shop.execute(more, "more");

    let voucher = shop.crm.issue_voucher(shop.ana, &ten(), Some(hour(50))).unwrap();
    assert_eq!(shop.is_in(), ["rich", "holders"]);
    let name = UseName::new("cart").unwrap();
    shop.crm.reserve_voucher(shop.ana, &voucher.code, name.clone(), hour(10), "reserve").unwrap();
    assert_eq!(shop.is_in(), ["rich", "wanting"], "what is reserved cannot be used");
    shop.until(10);
    assert_eq!(shop.is_in(), ["rich", "holders"], "and can again when that is over");
    shop.crm.issue_voucher(shop.ana, &ten(), Some(hour(60))).unwrap();
    shop.crm.redeem_voucher(shop.ana, &voucher.code, name, None, "redeem").unwrap();
    assert_eq!(shop.is_in(), ["rich", "holders", "users"]);
    // Nothing happens, and a voucher is over.
    shop.until(59);
    assert_eq!(shop.is_in(), ["rich", "holders", "users"]);
    shop.until(60);
    assert_eq!(shop.is_in(), ["rich", "users", "wanting"]);

    let bought = Incoming::new(shop.ana, hour(60), Source::new("shop").unwrap(), OrderPlaced::new(eur(1)));
    shop.crm.record(bought).unwrap();
    assert_eq!(shop.is_in(), ["rich", "users", "proud"]);
    shop.until(100);
    assert_eq!(shop.is_in(), ["users", "proud"], "the credit is over");
}

#[test]
fn segments_follow_credit_vouchers_and_badges_in_memory() {
    segments_follow(Arc::new(MemoryStore::new()));
}

#[cfg(feature = "sqlite")]
#[test]
fn segments_follow_credit_vouchers_and_badges_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    segments_follow(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
}

#[test]
fn credit_is_asked_in_currencies_that_amounts_can_be_written_in() {
    let shop = Shop::over(Arc::new(MemoryStore::new()));
    assert!(shop.crm.rule(r#"credit("USD") > 1.5"#).is_ok());
    let refused = |rule: &str| shop.crm.rule(rule).unwrap_err().to_string();
    assert!(refused(r#"credit("JPY") > 1"#).contains("JPY has not as many decimals as EUR"));
    assert!(refused(r#"credit("EUX") > 1"#).contains("EUX"));
    assert!(refused(r#"badge("buyers")"#).contains(r#"did you mean "buyer"?"#));
    assert!(refused(r#"credit("EUR") > points"#).contains("an amount of money"));
}
