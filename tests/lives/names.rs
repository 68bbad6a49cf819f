//! What people, orders, programmes and the rest are called, so that two who are told of one mean the same.

use crm::{
    CaseRef, CouponCode, Currency, DeclaredName, Digest, ExternalSystem, Identifier, Locale, Method, Money, OrderRef,
    PluginName, ProgramId, Proof, Purpose, ReferralName, Remark, RewardName, ScoreName, ScoreOutput, Source, TierName,
    Timestamp, Wording,
};

/// How many people there are at first.
pub(super) const MANY: u8 = 4;

pub(super) fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour * 3_600_000).unwrap()
}

pub(super) fn source() -> Source {
    Source::new("test").unwrap()
}

pub(super) fn why() -> Remark {
    "test".parse().unwrap()
}

pub(super) fn number(n: u8) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap()
}

pub(super) fn address(n: u8) -> String {
    format!("a{n}@example.com")
}

pub(super) fn email(n: u8) -> Identifier {
    Identifier::email(&address(n)).unwrap()
}

pub(super) fn device(n: u8) -> Identifier {
    Identifier::device(&format!("d{n}")).unwrap()
}

/// Every identifier that anybody ever comes with.
pub(super) fn identifiers() -> impl Iterator<Item = Identifier> {
    (0..MANY).flat_map(|n| [number(n), email(n), device(n)])
}

pub(super) fn euros(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

pub(super) fn order_number(n: u8) -> OrderRef {
    OrderRef::new(format!("o-{n}")).unwrap()
}

pub(super) fn case_number(n: u8) -> CaseRef {
    CaseRef::new(format!("c-{n}")).unwrap()
}

pub(super) fn marketing() -> Purpose {
    Purpose::new("marketing").unwrap()
}

pub(super) fn proof() -> Proof {
    let (version, locale) = ("2026-01".parse().unwrap(), Locale::new("de-DE").unwrap());
    let wording = Wording { version, sha256: Digest::of(b"Ja, ich will."), locale };
    Proof::new(Method::Form, wording, "web shop".parse().unwrap())
}

pub(super) fn bring() -> ReferralName {
    ReferralName::new("bring").unwrap()
}

pub(super) fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

pub(super) fn tier(name: &str) -> TierName {
    TierName::new(name).unwrap()
}

pub(super) fn size() -> DeclaredName {
    DeclaredName::new("size").unwrap()
}

pub(super) fn ten_off() -> CouponCode {
    CouponCode::new("ten").unwrap()
}

pub(super) fn mug() -> RewardName {
    RewardName::new("mug").unwrap()
}

pub(super) fn risk() -> ScoreName {
    ScoreName { plugin: PluginName::new("churn").unwrap(), output: ScoreOutput::new("risk").unwrap() }
}
