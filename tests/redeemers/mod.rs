//! Thirty-two who want the same at once, over any store.
#![allow(dead_code, reason = "each test takes what it is about")]

use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    AwardPoints, BatchName, Benefit, Channel, ClaimReward, Command, Coupon, CouponCode, Currency, CustomerId,
    Definition, Error, ExternalSystem, Identifier, Incoming, LoyaltyError, Program, ProgramId, RedeemCoupon, Refusal,
    Reward, RewardGives, RewardName, Source, Store, Timestamp, UseName, Visited, VoucherBatch,
};

const MANY: usize = 32;

fn open(store: &Arc<dyn Store>) -> Crm {
    crm::Crm::builder().shared_store(Arc::clone(store)).build().into()
}

/// Customers of one test, whom no other one has.
fn customers(crm: &Crm, of: &str) -> Vec<CustomerId> {
    let came = |n: usize| {
        let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), &format!("{of} {n}")).unwrap();
        let visit = Visited { channel: Channel::Web, place: None };
        crm.record(Incoming::new(who, crm.now(), Source::new("shop").unwrap(), visit)).unwrap().customer
    };
    (0..MANY).map(came).collect()
}

/// What each of them gets who begin at the same moment, each with an instance of their own.
fn at_once<T: Send>(store: &Arc<dyn Store>, work: impl Fn(usize, &Crm) -> T + Sync) -> Vec<T> {
    let begin = std::sync::Barrier::new(MANY);
    std::thread::scope(|scope| {
        let each = |n: usize| {
            let (begin, work) = (&begin, &work);
            let crm = open(store);
            scope.spawn(move || {
                begin.wait();
                work(n, &crm)
            })
        };
        let all: Vec<_> = (0..MANY).map(each).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

fn refusals(answers: Vec<Result<(), Error>>) -> Vec<LoyaltyError> {
    let refused = answers.into_iter().filter_map(Result::err);
    let refusal = |error| {
        let Error::Refused(Refusal::Loyalty(refusal)) = error else { panic!("{error:?}") };
        refusal
    };
    refused.map(refusal).collect()
}

/// Ten uses for thirty-two customers.
pub(crate) fn a_coupon(store: &Arc<dyn Store>) {
    let crm = open(store);
    let coupon = CouponCode::new("TEN").unwrap();
    let terms = Coupon::new(Benefit::PercentOff(10)).with_uses(10).with_each(1);
    crm.define(Timestamp::MIN, Definition::Coupon(coupon.clone(), Some(Box::new(terms)))).unwrap();
    let ids = customers(&crm, "coupon");
    let answers = at_once(store, |n, crm| {
        let name = UseName::new("cart").unwrap();
        let redeem = RedeemCoupon { coupon: coupon.clone(), name, order: None, voucher: None };
        crm.execute(ids[n], Command::RedeemCoupon(redeem), "cart").map(drop)
    });
    let refused = refusals(answers);
    assert_eq!(refused.len(), MANY - 10);
    assert!(refused.iter().all(|one| *one == LoyaltyError::CouponUsedUp { coupon: coupon.clone(), uses: 10 }));
    let used = ids.iter().filter(|id| crm.customer(**id).unwrap().unwrap().used_coupon(&coupon)).count();
    assert_eq!(used, 10);
}

/// One voucher that thirty-two customers have.
pub(crate) fn a_voucher(store: &Arc<dyn Store>) {
    let crm = open(store);
    let coupon = CouponCode::new("ONE").unwrap();
    let terms = Coupon::new(Benefit::PercentOff(10)).by_voucher();
    crm.define(Timestamp::MIN, Definition::Coupon(coupon.clone(), Some(Box::new(terms)))).unwrap();
    let batch = VoucherBatch { name: BatchName::new("one").unwrap(), coupon: coupon.clone(), expires_at: None };
    let code = crm.issue_vouchers(&batch, 1).unwrap().remove(0);
    let ids = customers(&crm, "voucher");
    let answers = at_once(store, |n, crm| {
        crm.redeem_voucher(ids[n], &code, UseName::new("cart").unwrap(), None, "cart").map(drop)
    });
    let refused = refusals(answers);
    assert_eq!(refused.len(), MANY - 1);
    assert!(refused.iter().all(|one| *one == LoyaltyError::VoucherUsed), "{refused:?}");
    let used = ids.iter().filter(|id| crm.customer(**id).unwrap().unwrap().used_coupon(&coupon)).count();
    assert_eq!(used, 1);
}

/// Five mugs for thirty-two customers who can all pay, and for one of them who asks as often.
pub(crate) fn a_reward(store: &Arc<dyn Store>) {
    let crm = open(store);
    let points = ProgramId::new("points").unwrap();
    let program = Program::point_per_unit(Currency::EUR);
    crm.define(Timestamp::MIN, Definition::Program(points.clone(), Some(program))).unwrap();
    let reward = |name: &str, stock: Option<u32>| {
        let name = RewardName::new(name).unwrap();
        let terms = Reward::new(points.clone(), 100, RewardGives::Other("a mug".parse().unwrap()));
        let terms = Reward { stock, ..terms };
        crm.define(Timestamp::MIN, Definition::Reward(name.clone(), Some(Box::new(terms)))).unwrap();
        name
    };
    let (mug, spoon) = (reward("mug", Some(5)), reward("spoon", None));
    let ids = customers(&crm, "reward");
    for id in &ids {
        let award = AwardPoints { program: points.clone(), points: 250, reason: "test".parse().unwrap() };
        crm.execute(*id, Command::AwardPoints(award), "award").unwrap();
    }
    let answers = at_once(store, |n, crm| {
        crm.execute(ids[n], Command::ClaimReward(ClaimReward { reward: mug.clone() }), "mug").map(drop)
    });
    let refused = refusals(answers);
    assert_eq!(refused.len(), MANY - 5);
    assert!(refused.iter().all(|one| *one == LoyaltyError::OutOfStock { reward: mug.clone(), stock: 5 }));
    let balance = |id: CustomerId| crm.customer(id).unwrap().unwrap().book(&points).unwrap().balance();
    let paid = ids.iter().filter(|id| balance(**id) == 150).count();
    assert_eq!((paid, ids.iter().filter(|id| balance(**id) == 250).count()), (5, MANY - 5));
    let offers = crm.rewards_for(ids[0]).unwrap();
    assert_eq!(offers.iter().map(|offer| offer.left).collect::<Vec<_>>(), [Some(0), None]);

    // One customer's points are enough for one or two of the other, however often they ask.
    let before = balance(ids[0]);
    let answers = at_once(store, |n, crm| {
        crm.execute(ids[0], Command::ClaimReward(ClaimReward { reward: spoon.clone() }), &format!("{n}")).map(drop)
    });
    let refused = refusals(answers);
    assert!(refused.iter().all(|one| matches!(one, LoyaltyError::NotEnough { asked: 100, .. })), "{refused:?}");
    let got = MANY - refused.len();
    assert_eq!((got as i128, balance(ids[0])), (before / 100, before - before / 100 * 100));
}
