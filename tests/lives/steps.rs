//! What happens: what is told, by whom, and whatever else is asked of the library.

use proptest::prelude::*;

use super::names::MANY;

/// By what somebody comes.
#[derive(Debug, Clone)]
pub(super) enum By {
    Number(u8),
    /// An address, whether it is proved, and perhaps a device and a number.
    Presented(u8, bool, Option<u8>, Option<u8>),
    Order(u8),
    Case(u8),
    /// One of those who were met so far.
    Met(u8),
}

#[derive(Debug, Clone)]
pub(super) enum Told {
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
pub(super) enum Step {
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

pub(super) fn by() -> impl Strategy<Value = By> {
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

pub(super) fn told() -> impl Strategy<Value = Told> {
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

pub(super) fn step() -> impl Strategy<Value = Step> {
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
