//! Rewards for points, stamp cards and badges.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod redeemers;

use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Attribute, AwardPoints, Badge, BadgeName, Benefit, CancelReward, Channel, ClaimReward, Command, Comparison, Coupon,
    CouponCode, Currency, CustomerId, Definition, Error, EventId, ExternalSystem, Identifier, Incoming, Line, Lines,
    LoyaltyError, ManualClock, MemoryStore, Money, OrderPlaced, OrderRef, Predicate, ProductRef, Program, ProgramId,
    RedeemCoupon, Refunded, Reward, RewardGives, RewardName, SegmentName, Source, Span, StampCard, StampCardName,
    Store, Tag, Tagged, Timestamp, Untagged, UseName, Visited, Voided, Voucher, VoucherId,
};
use proptest::prelude::*;

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour * 3_600_000).unwrap()
}

fn why() -> crm::Remark {
    "test".parse().unwrap()
}

fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn mug() -> RewardName {
    RewardName::new("mug").unwrap()
}

fn number(n: usize) -> OrderRef {
    OrderRef::new(format!("o-{n}")).unwrap()
}

struct Shop {
    clock: Arc<ManualClock>,
    crm: Crm,
    keys: std::cell::Cell<u64>,
}

impl Shop {
    fn new(definitions: impl IntoIterator<Item = Definition>) -> Self {
        Self::on(Arc::new(MemoryStore::new()), definitions)
    }

    fn on(store: Arc<dyn Store>, definitions: impl IntoIterator<Item = Definition>) -> Self {
        let clock = Arc::new(ManualClock::at(hour(1)));
        let crm = crm::Crm::builder().shared_store(store).clock(Arc::clone(&clock)).ids(crm::DerivedIds).build();
        let crm = Crm::from(crm);
        let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(30));
        crm.define(hour(0), Definition::Program(points(), Some(program))).unwrap();
        for definition in definitions {
            crm.define(hour(0), definition).unwrap();
        }
        Shop { clock, crm, keys: std::cell::Cell::new(0) }
    }

    fn key(&self) -> String {
        self.keys.set(self.keys.get() + 1);
        format!("key {}", self.keys.get())
    }

    fn came(&self, n: usize) -> CustomerId {
        let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap();
        let visit = Visited { channel: Channel::Web, place: None };
        self.crm.record(Incoming::new(who, self.crm.now(), Source::new("shop").unwrap(), visit)).unwrap().customer
    }

    fn tell(&self, customer: CustomerId, fact: impl Into<crm::Fact>) -> EventId {
        self.tell_at(customer, self.crm.now(), fact)
    }

    fn tell_at(&self, customer: CustomerId, at: Timestamp, fact: impl Into<crm::Fact>) -> EventId {
        let told = Incoming::new(customer, at, Source::new("shop").unwrap(), fact);
        self.crm.record(told.with_key(self.key().parse().unwrap())).unwrap().event
    }

    /// Pieces of coffee for a euro each.
    fn coffee(&self, customer: CustomerId, n: usize, pieces: i64) -> EventId {
        let product = Some(ProductRef::new("coffee").unwrap());
        let line = Line { product, quantity: Some(pieces), minor: pieces * 100, ..Line::default() };
        let placed = OrderPlaced::new(Money::new(pieces * 100, Currency::EUR)).with_order(number(n));
        self.tell(customer, OrderPlaced { lines: vec![line], ..placed })
    }

    fn refund(&self, customer: CustomerId, n: usize, minor: i64) {
        self.tell(customer, Refunded { order: Some(number(n)), amount: Money::new(minor, Currency::EUR) });
    }

    fn ask(&self, customer: CustomerId, command: Command) -> Result<Vec<EventId>, LoyaltyError> {
        match self.crm.execute(customer, command, &self.key()) {
            Ok(done) => Ok(done.events),
            Err(Error::Refused(crm::Refusal::Loyalty(refusal))) => Err(refusal),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn award(&self, customer: CustomerId, count: i64) {
        let award = AwardPoints { program: points(), points: count, reason: why() };
        self.ask(customer, Command::AwardPoints(award)).unwrap();
    }

    /// Claims a mug, and gives the claim.
    fn claim(&self, customer: CustomerId) -> Result<EventId, LoyaltyError> {
        self.ask(customer, Command::ClaimReward(ClaimReward { reward: mug() })).map(|events| events[0])
    }

    fn cancel(&self, customer: CustomerId, claim: EventId) -> Result<Vec<EventId>, LoyaltyError> {
        self.ask(customer, Command::CancelReward(CancelReward { claim }))
    }

    fn customer(&self, id: CustomerId) -> crm::Customer {
        self.crm.customer(id).unwrap().unwrap()
    }

    fn balance(&self, id: CustomerId) -> i128 {
        self.customer(id).book(&points()).map_or(0, |book| book.balance())
    }

    /// The vouchers that somebody could use.
    fn vouchers(&self, id: CustomerId) -> Vec<(VoucherId, Voucher)> {
        let customer = self.customer(id);
        let usable = |(id, _): &(VoucherId, &Voucher)| customer.rewards().usable(*id, self.crm.now()).is_ok();
        customer.rewards().vouchers().filter(usable).map(|(id, voucher)| (id, voucher.clone())).collect()
    }
}

fn coupon() -> CouponCode {
    CouponCode::new("free coffee").unwrap()
}

fn free_coffee() -> Definition {
    let coffee = Benefit::Free(ProductRef::new("coffee").unwrap());
    Definition::Coupon(coupon(), Some(Box::new(Coupon::new(coffee).by_voucher())))
}

fn use_of(voucher: VoucherId, name: &str) -> Command {
    let name = UseName::new(name).unwrap();
    Command::RedeemCoupon(RedeemCoupon { coupon: coupon(), name, order: None, voucher: Some(voucher) })
}

fn a_mug() -> Reward {
    Reward::new(points(), 100, RewardGives::Product(ProductRef::new("mug").unwrap()))
}

fn reward(reward: Reward) -> Definition {
    Definition::Reward(mug(), Some(Box::new(reward)))
}

#[test]
fn a_reward_costs_its_points_and_one_of_its_stock_or_nothing() {
    let shop = Shop::new([reward(a_mug().with_stock(2).with_each(1))]);
    let [ana, ben, eve] = [0, 1, 2].map(|n| shop.came(n));
    assert_eq!(shop.claim(ana), Err(LoyaltyError::NotEnough { asked: 100, available: 0 }));
    [ana, ben, eve].iter().for_each(|id| shop.award(*id, 250));
    shop.claim(ana).unwrap();
    assert_eq!(shop.balance(ana), 150);
    assert_eq!(shop.claim(ana), Err(LoyaltyError::RewardClaimedByCustomer { reward: mug(), times: 1 }));
    shop.claim(ben).unwrap();
    assert_eq!(shop.claim(eve), Err(LoyaltyError::OutOfStock { reward: mug(), stock: 2 }));
    assert_eq!(shop.balance(eve), 250);
    // There are more of them now.
    shop.crm.define(hour(1), reward(a_mug().with_stock(3))).unwrap();
    shop.claim(eve).unwrap();
    assert_eq!(shop.claim(ana), Err(LoyaltyError::OutOfStock { reward: mug(), stock: 3 }));
}

#[test]
fn the_same_request_for_a_reward_is_carried_out_once() {
    let shop = Shop::new([reward(a_mug())]);
    let ana = shop.came(0);
    shop.award(ana, 250);
    let ask = || shop.crm.execute(ana, Command::ClaimReward(ClaimReward { reward: mug() }), "one mug").unwrap();
    let (first, again) = (ask(), ask());
    assert_eq!((first.replayed, again.replayed, first.events), (false, true, again.events));
    assert_eq!(shop.balance(ana), 150);
}

#[test]
fn what_is_paid_besides_points_is_told_with_a_reward_and_with_its_claim_and_is_the_shops_to_take() {
    let price = Money::new(500, Currency::EUR);
    let shop = Shop::new([reward(Reward { money: Some(price), ..a_mug() })]);
    let ana = shop.came(0);
    shop.award(ana, 100);
    assert_eq!(shop.crm.rewards_for(ana).unwrap()[0].reward.money, Some(price));
    let claim = shop.claim(ana).unwrap();
    let story = shop.crm.story(ana).unwrap().unwrap();
    let claimed = story.events.iter().find_map(|event| match &event.body {
        crm::EventBody::Decision(crm::Decision { deed: crm::Deed::RewardClaimed(claimed), .. }) => Some(claimed),
        crm::EventBody::Decision(_) | crm::EventBody::Fact(_) | crm::EventBody::Unrecognised { .. } => None,
    });
    let claimed = claimed.unwrap();
    assert_eq!((claimed.claim, claimed.points, claimed.money), (claim, 100, Some(price)));
    let customer = shop.customer(ana);
    assert_eq!((shop.balance(ana), customer.credit_in(Currency::EUR).is_none()), (0, true));
}

#[test]
fn a_reward_that_is_given_back_in_time_gives_back_points_and_stock_once() {
    let shop = Shop::new([reward(a_mug().with_stock(1).cancellable_within(Span::days(1)))]);
    let [ana, ben] = [0, 1].map(|n| shop.came(n));
    [ana, ben].iter().for_each(|id| shop.award(*id, 100));
    let expires = shop.customer(ana).book(&points()).unwrap().lots()[0].clone();
    let claim = shop.claim(ana).unwrap();
    assert!(shop.claim(ben).is_err());
    assert_eq!(shop.cancel(ben, claim), Err(LoyaltyError::NoRewardClaim { claim }));
    shop.clock.set(hour(24));
    shop.cancel(ana, claim).unwrap();
    let lots: Vec<_> = shop.customer(ana).book(&points()).unwrap().lots().to_vec();
    assert_eq!(lots.iter().map(|lot| lot.terms.expires_at).collect::<Vec<_>>(), [expires.terms.expires_at]);
    assert_eq!(shop.balance(ana), 100);
    assert_eq!(shop.cancel(ana, claim), Err(LoyaltyError::NoRewardClaim { claim }));
    // The stock is there again, and what is too late is too late.
    let claim = shop.claim(ben).unwrap();
    shop.clock.set(hour(48));
    let kept = LoyaltyError::RewardKept { reward: mug(), until: Some(hour(48)) };
    assert_eq!(shop.cancel(ben, claim), Err(kept));
    assert_eq!((shop.balance(ben), shop.customer(ben).rewards().claims().count()), (0, 1));
}

#[test]
fn points_that_the_shop_gave_back_by_hand_do_not_come_twice() {
    let shop = Shop::new([reward(a_mug().cancellable_within(Span::days(1)))]);
    let ana = shop.came(0);
    shop.award(ana, 100);
    let events = shop.ask(ana, Command::ClaimReward(ClaimReward { reward: mug() })).unwrap();
    let undo = crm_core::loyalty::UndoPosting { posting: events[1], reason: why() };
    shop.ask(ana, Command::UndoPosting(undo)).unwrap();
    assert_eq!(shop.balance(ana), 100);
    shop.cancel(ana, events[0]).unwrap();
    assert_eq!(shop.balance(ana), 100);
}

#[test]
fn a_reward_may_be_a_voucher_which_goes_when_the_reward_is_given_back() {
    let gives = RewardGives::Voucher { coupon: coupon(), lasts: Some(Span::days(7)) };
    let terms = Reward::new(points(), 100, gives).cancellable_within(Span::days(2));
    let shop = Shop::new([free_coffee(), reward(terms)]);
    let ana = shop.came(0);
    shop.award(ana, 200);
    let claim = shop.claim(ana).unwrap();
    let vouchers = shop.vouchers(ana);
    assert_eq!(vouchers.iter().map(|(_, own)| own.expires_at).collect::<Vec<_>>(), [Some(hour(1).plus(Span::days(7)))]);
    shop.cancel(ana, claim).unwrap();
    assert_eq!(shop.vouchers(ana), []);
    assert_eq!(shop.ask(ana, use_of(vouchers[0].0, "a")), Err(LoyaltyError::VoucherBlocked));
    // One that was used keeps its reward.
    let claim = shop.claim(ana).unwrap();
    let (voucher, _) = shop.vouchers(ana)[0].clone();
    shop.ask(ana, use_of(voucher, "b")).unwrap();
    assert_eq!(shop.cancel(ana, claim), Err(LoyaltyError::RewardVoucherUsed { claim }));
    assert_eq!(shop.balance(ana), 100);
}

#[test]
fn a_reward_is_there_and_can_be_given_back_until_an_instant_and_not_at_it() {
    let (from, until) = (Some(hour(5)), Some(hour(9)));
    let shop = Shop::new([reward(Reward { from, until, ..a_mug().cancellable_within(Span::days(1)) })]);
    let ana = shop.came(0);
    shop.award(ana, 300);
    let tick = Span::millis(1);
    let outside = LoyaltyError::RewardNotValid { reward: mug(), from, until };
    shop.clock.set(hour(5).minus(tick));
    assert_eq!(shop.claim(ana), Err(outside.clone()));
    shop.clock.set(hour(5));
    let first = shop.claim(ana).unwrap();
    shop.clock.set(hour(9).minus(tick));
    let second = shop.claim(ana).unwrap();
    shop.clock.set(hour(9));
    assert_eq!(shop.claim(ana), Err(outside));
    shop.clock.set(hour(29).minus(tick));
    shop.cancel(ana, first).unwrap();
    assert_eq!(shop.balance(ana), 200);
    let until = hour(33).minus(tick);
    shop.clock.set(until);
    assert_eq!(shop.cancel(ana, second), Err(LoyaltyError::RewardKept { reward: mug(), until: Some(until) }));
    assert_eq!(shop.balance(ana), 200);
    let none = RewardName::new("none").unwrap();
    let claim = Command::ClaimReward(ClaimReward { reward: none.clone() });
    assert_eq!(shop.ask(ana, claim), Err(LoyaltyError::NoReward { reward: none }));
}

#[test]
fn the_catalogue_says_what_a_customer_can_claim_and_all_that_stands_against_the_rest() {
    let vip = Tag::new("vip").unwrap();
    let spoon = RewardName::new("spoon").unwrap();
    let of_vips = Reward { when: Some(Predicate::tag(&vip)), until: Some(hour(10)), ..a_mug().with_stock(0) };
    let shop = Shop::new([reward(a_mug().with_stock(3)), Definition::Reward(spoon.clone(), Some(Box::new(of_vips)))]);
    let ana = shop.came(0);
    let offers = || shop.crm.rewards_for(ana).unwrap();
    let poor = LoyaltyError::NotEnough { asked: 100, available: 0 };
    let not_for = LoyaltyError::RewardNotFor { reward: spoon.clone() };
    let out = LoyaltyError::OutOfStock { reward: spoon.clone(), stock: 0 };
    let told: Vec<_> = offers().into_iter().map(|offer| (offer.name, offer.left, offer.refused)).collect();
    let of_spoon = (spoon.clone(), Some(0), vec![not_for, poor.clone(), out]);
    assert_eq!(told, [(mug(), Some(3), vec![poor]), of_spoon]);
    shop.award(ana, 100);
    shop.claim(ana).unwrap();
    shop.award(ana, 100);
    assert_eq!((offers()[0].left, offers()[0].refused.is_empty()), (Some(2), true));
    shop.clock.set(hour(10));
    let over = LoyaltyError::RewardNotValid { reward: spoon, from: None, until: Some(hour(10)) };
    assert_eq!(offers()[1].refused[0], over);
    // What anybody is told they can claim they can.
    assert!(shop.claim(ana).is_ok());
}

#[test]
fn merged_customers_pay_together_and_what_is_given_back_goes_to_whoever_paid() {
    let shop = Shop::new([reward(a_mug().with_each(1).cancellable_within(Span::days(9)))]);
    let [ana, ben] = [0, 1].map(|n| shop.came(n));
    shop.award(ana, 60);
    shop.award(ben, 60);
    shop.crm.merge(ana, ben, why()).unwrap();
    let claim = shop.claim(ben).unwrap();
    assert_eq!(shop.balance(ana), 20);
    assert_eq!(shop.claim(ana), Err(LoyaltyError::RewardClaimedByCustomer { reward: mug(), times: 1 }));
    shop.cancel(ana, claim).unwrap();
    assert_eq!(shop.balance(ana), 120);
    shop.crm.part(ana, ben, why()).unwrap();
    assert_eq!((shop.balance(ana), shop.balance(ben)), (60, 60));
}

fn tenth() -> StampCardName {
    StampCardName::new("fifth coffee").unwrap()
}

fn coffees() -> Lines {
    Lines { products: [ProductRef::new("coffee").unwrap()].into(), ..Lines::default() }
}

fn card(every: u32) -> Definition {
    Definition::StampCard(tenth(), Some(Box::new(StampCard::new(coffees(), every, coupon()))))
}

#[test]
fn a_full_card_gives_a_voucher_and_goes_on_from_there() {
    let shop = Shop::new([free_coffee(), card(5)]);
    let ana = shop.came(0);
    shop.coffee(ana, 1, 3);
    let stamps = || shop.customer(ana).stamps(&shop.crm.definitions().unwrap())[0].clone();
    assert_eq!((stamps().on_card(), stamps().full(), shop.vouchers(ana).len()), (3, 0, 0));
    shop.coffee(ana, 2, 9);
    assert_eq!((stamps().on_card(), stamps().full(), shop.vouchers(ana).len()), (2, 2, 2));
    // What is no coffee, and a free coffee, give no stamps.
    let tea = Line { product: Some(ProductRef::new("tea").unwrap()), quantity: Some(9), minor: 9, ..Line::default() };
    let product = Some(ProductRef::new("coffee").unwrap());
    let free = Line { product, quantity: Some(9), kind: crm::LineKind::Reward, ..Line::default() };
    let placed = OrderPlaced { lines: vec![tea, free], ..OrderPlaced::new(Money::new(9, Currency::EUR)) };
    shop.tell(ana, placed);
    assert_eq!((stamps().stamps, shop.vouchers(ana).len()), (12, 2));
    let (voucher, _) = shop.vouchers(ana)[0].clone();
    shop.ask(ana, use_of(voucher, "free")).unwrap();
    assert_eq!(shop.ask(ana, use_of(voucher, "free again")), Err(LoyaltyError::VoucherUsed));
    assert_eq!(shop.vouchers(ana).len(), 1);
}

#[test]
fn a_refund_takes_stamps_and_unused_vouchers_back_and_nothing_is_given_twice() {
    let shop = Shop::new([free_coffee(), card(5)]);
    let ana = shop.came(0);
    shop.coffee(ana, 1, 5);
    assert_eq!(shop.vouchers(ana).len(), 1);
    // Four fifths of five stamps are four.
    shop.refund(ana, 1, 100);
    assert_eq!(shop.vouchers(ana).len(), 0);
    shop.coffee(ana, 2, 1);
    let (voucher, _) = shop.vouchers(ana)[0].clone();
    shop.ask(ana, use_of(voucher, "free")).unwrap();
    // It was used: the next full card is that one once more.
    shop.refund(ana, 1, 400);
    assert_eq!(shop.vouchers(ana).len(), 0);
    shop.coffee(ana, 3, 8);
    assert_eq!(shop.customer(ana).stamps(&shop.crm.definitions().unwrap())[0].full(), 1);
    assert_eq!(shop.vouchers(ana).len(), 0);
    let last = shop.coffee(ana, 4, 1);
    assert_eq!(shop.vouchers(ana).len(), 1);
    shop.tell(ana, Voided { event: last, reason: None });
    assert_eq!(shop.vouchers(ana).len(), 0);
}

#[test]
fn of_unused_vouchers_of_a_card_those_go_first_that_came_last() {
    let shop = Shop::new([free_coffee(), card(2)]);
    let ana = shop.came(0);
    let mut first = None;
    for n in 1..6 {
        shop.clock.set(hour(n + 1));
        shop.coffee(ana, n as usize, 2);
        first.get_or_insert_with(|| shop.vouchers(ana)[0].0);
    }
    for n in 1..5 {
        shop.refund(ana, n, 200);
    }
    let left: Vec<VoucherId> = shop.vouchers(ana).into_iter().map(|(id, _)| id).collect();
    assert_eq!(left, Vec::from_iter(first));
}

#[test]
fn a_new_version_of_a_card_is_a_new_card_and_old_orders_stay_on_the_old_one() {
    let shop = Shop::new([free_coffee(), card(5)]);
    let ana = shop.came(0);
    shop.coffee(ana, 1, 4);
    shop.crm.define(hour(5), card(2)).unwrap();
    shop.clock.set(hour(6));
    shop.coffee(ana, 2, 1);
    assert_eq!(shop.vouchers(ana).len(), 0);
    // One that was late belongs to the old card.
    let product = Some(ProductRef::new("coffee").unwrap());
    let lines = vec![Line { product, minor: 100, ..Line::default() }];
    shop.tell_at(ana, hour(3), OrderPlaced { lines, ..OrderPlaced::new(Money::new(100, Currency::EUR)) });
    assert_eq!(shop.vouchers(ana).len(), 1);
    shop.coffee(ana, 3, 1);
    assert_eq!(shop.vouchers(ana).len(), 2);
}

#[test]
fn a_card_counts_orders_of_its_time_and_its_vouchers_end() {
    let (from, until) = (Some(hour(5)), Some(hour(9)));
    let own = StampCard { from, until, voucher_lasts: Some(Span::days(1)), ..StampCard::new(coffees(), 2, coupon()) };
    let shop = Shop::new([free_coffee(), Definition::StampCard(tenth(), Some(Box::new(own)))]);
    let ana = shop.came(0);
    let stamps = || shop.customer(ana).stamps(&shop.crm.definitions().unwrap()).first().map_or(0, |own| own.stamps);
    for (n, at, there) in [(1, 4, 0), (2, 5, 1), (3, 8, 2), (4, 9, 2)] {
        shop.clock.set(hour(at));
        shop.coffee(ana, n, 1);
        assert_eq!(stamps(), there, "at {at}");
    }
    shop.clock.set(hour(32).minus(Span::millis(1)));
    let (voucher, _) = shop.vouchers(ana)[0].clone();
    shop.clock.set(hour(32));
    assert_eq!(shop.vouchers(ana).len(), 0);
    assert_eq!(shop.ask(ana, use_of(voucher, "late")), Err(LoyaltyError::VoucherExpired { at: hour(32) }));
}

#[test]
fn a_monstrous_order_gives_no_more_vouchers_than_there_may_be() {
    let shop = Shop::new([free_coffee(), card(1)]);
    let ana = shop.came(0);
    let product = Some(ProductRef::new("coffee").unwrap());
    let line = |quantity| Line { product: product.clone(), quantity: Some(quantity), minor: 1, ..Line::default() };
    let placed = OrderPlaced::new(Money::new(2, Currency::EUR));
    shop.tell(ana, OrderPlaced { lines: vec![line(i64::MAX), line(i64::MAX), line(-5)], ..placed });
    assert_eq!(shop.vouchers(ana).len() as u64, crm_core::customer::STAMP_VOUCHERS_MAX);
}

#[test]
fn merged_customers_fill_a_card_together_and_parted_each_has_their_own_stamps() {
    let shop = Shop::new([free_coffee(), card(5)]);
    let [ana, ben] = [0, 1].map(|n| shop.came(n));
    shop.coffee(ana, 1, 3);
    shop.coffee(ben, 2, 3);
    shop.crm.merge(ana, ben, why()).unwrap();
    assert_eq!(shop.vouchers(ana).len(), 1);
    // Neither filled one alone.
    shop.crm.part(ana, ben, why()).unwrap();
    assert_eq!((shop.vouchers(ana).len(), shop.vouchers(ben).len()), (0, 0));
    shop.coffee(ana, 3, 2);
    assert_eq!((shop.vouchers(ana).len(), shop.vouchers(ben).len()), (1, 0));
}

/// What happens to orders of coffee.
#[derive(Debug, Clone)]
enum Step {
    Buy(i64),
    Refund(usize, i64),
    Void(usize),
    Use,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..9_i64).prop_map(Step::Buy),
        3 => (0..8_usize, 1..900_i64).prop_map(|(n, minor)| Step::Refund(n, minor)),
        1 => (0..8_usize).prop_map(Step::Void),
        2 => Just(Step::Use),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is bought, sent back and used: vouchers that stand are as many as cards that are full, unless more were
    /// used than that, and then there is none to be used.
    #[test]
    fn stamps_follow_orders_and_nobody_gets_one_too_many(
        steps in proptest::collection::vec(step(), 0..25), every in 1..6_u32,
    ) {
        let shop = Shop::new([free_coffee(), card(every)]);
        let ana = shop.came(0);
        // Of each order its event, its pieces, and what is left of its cents.
        let mut orders: Vec<(EventId, i64, i64)> = Vec::new();
        let mut used = 0_u64;
        for step in steps {
            match step {
                Step::Buy(pieces) => {
                    let event = shop.coffee(ana, orders.len(), pieces);
                    orders.push((event, pieces, pieces * 100));
                }
                Step::Refund(n, minor) => {
                    if let Some((_, _, left)) = orders.get_mut(n) {
                        shop.refund(ana, n, minor);
                        *left = (*left - minor).max(0);
                    }
                }
                Step::Void(n) => {
                    if let Some((event, pieces, left)) = orders.get_mut(n) {
                        shop.tell(ana, Voided { event: *event, reason: None });
                        (*pieces, *left) = (0, 0);
                    }
                }
                Step::Use => {
                    if let Some((voucher, _)) = shop.vouchers(ana).first() {
                        shop.ask(ana, use_of(*voucher, &format!("free {used}"))).unwrap();
                        used += 1;
                    }
                }
            }
            let stamps: i64 = orders.iter().filter(|(_, pieces, _)| *pieces > 0).map(|(_, pieces, left)| pieces * left / (pieces * 100)).sum();
            let full = stamps as u64 / u64::from(every);
            prop_assert_eq!(shop.vouchers(ana).len() as u64, full.saturating_sub(used));
        }
        // Told anew it is the same customer.
        let before = shop.customer(ana).digest();
        prop_assert_eq!(shop.crm.refresh().unwrap(), 0);
        prop_assert_eq!(shop.customer(ana).digest(), before);
    }
}

fn badge(name: &str) -> BadgeName {
    BadgeName::new(name).unwrap()
}

fn earned(shop: &Shop, customer: CustomerId) -> Vec<(String, i64)> {
    let hours = |at: Timestamp| at.as_millis() / 3_600_000;
    shop.customer(customer).badges().map(|(badge, at)| (badge.as_str().to_owned(), hours(at))).collect()
}

fn two_orders() -> Definition {
    let rule = Predicate::compare(Attribute::Orders, Comparison::Ge, 2);
    Definition::Badge(badge("two orders"), Some(Box::new(Badge::new(rule).with_points(points(), 50))))
}

#[test]
fn a_badge_is_earned_once_with_its_points_and_stays() {
    let shop = Shop::new([two_orders()]);
    let ana = shop.came(0);
    shop.coffee(ana, 1, 1);
    assert_eq!(earned(&shop, ana), []);
    shop.clock.set(hour(7));
    shop.coffee(ana, 2, 1);
    assert_eq!((earned(&shop, ana), shop.balance(ana)), (vec![("two orders".into(), 7)], 52));
    shop.refund(ana, 1, 100);
    shop.refund(ana, 2, 100);
    assert_eq!((earned(&shop, ana), shop.balance(ana)), (vec![("two orders".into(), 7)], 50));
    shop.coffee(ana, 3, 1);
    shop.coffee(ana, 4, 1);
    assert_eq!((earned(&shop, ana).len(), shop.balance(ana)), (1, 52));
}

#[test]
fn the_points_of_one_badge_may_earn_another() {
    let rich = Predicate::compare(Attribute::Points, Comparison::Ge, 50);
    let rich = Definition::Badge(badge("rich"), Some(Box::new(Badge::new(rich))));
    let shop = Shop::new([rich, two_orders()]);
    let ana = shop.came(0);
    shop.coffee(ana, 1, 1);
    shop.coffee(ana, 2, 1);
    assert_eq!(earned(&shop, ana), [("rich".into(), 1), ("two orders".into(), 1)]);
}

#[test]
fn a_badge_is_earned_by_time_alone_and_in_one_go_or_in_many() {
    let old = Predicate::compare(Attribute::AgeDays, Comparison::Ge, 10);
    let old = || Definition::Badge(badge("ten days"), Some(Box::new(Badge::new(old.clone()))));
    for steps in [vec![500], vec![100, 240, 241, 300, 500]] {
        let shop = Shop::new([old()]);
        let ana = shop.came(0);
        for at in steps {
            shop.clock.set(hour(at));
            shop.crm.advance(hour(at)).unwrap();
        }
        assert_eq!(earned(&shop, ana), [("ten days".into(), 241)]);
    }
}

#[test]
fn a_badge_may_ask_for_segments_stages_and_tags() {
    let vip = SegmentName::new("vips").unwrap();
    let tagged = Predicate::tag(&Tag::new("vip").unwrap());
    let of_segment = Badge::new(Predicate::InSegment(vip.clone()));
    let shop = Shop::new([
        Definition::Segment(vip, Some(tagged)),
        Definition::Badge(badge("in segment"), Some(Box::new(of_segment))),
    ]);
    let ana = shop.came(0);
    shop.tell(ana, Tagged { tag: Tag::new("vip").unwrap() });
    shop.tell(ana, Untagged { tag: Tag::new("vip").unwrap() });
    assert_eq!(earned(&shop, ana), [("in segment".into(), 1)]);
}

#[test]
fn a_badge_that_is_new_is_earned_by_those_who_come_again_and_by_all_when_the_base_is_reconsidered() {
    let shop = Shop::new([]);
    let [ana, ben] = [0, 1].map(|n| shop.came(n));
    for (n, id) in [ana, ana, ben, ben].into_iter().enumerate() {
        shop.coffee(id, n, 1);
    }
    shop.clock.set(hour(3));
    shop.crm.define(hour(3), two_orders()).unwrap();
    shop.tell(ana, Visited { channel: Channel::Web, place: None });
    assert_eq!((earned(&shop, ana).len(), earned(&shop, ben).len()), (1, 0));
    shop.crm.refresh().unwrap();
    assert_eq!((earned(&shop, ana).len(), earned(&shop, ben).len()), (1, 1));
    // Who has it keeps it though it is given no more.
    shop.crm.define(hour(3).plus(Span::millis(1)), Definition::Badge(badge("two orders"), None)).unwrap();
    shop.clock.set(hour(4));
    shop.crm.refresh().unwrap();
    assert_eq!(earned(&shop, ben).len(), 1);
    let eve = shop.came(2);
    shop.coffee(eve, 10, 1);
    shop.coffee(eve, 11, 1);
    assert_eq!(earned(&shop, eve), []);
}

#[test]
fn merged_customers_have_the_badges_of_all_and_parted_each_their_own() {
    let shop = Shop::new([two_orders()]);
    let [ana, ben, eve] = [0, 1, 2].map(|n| shop.came(n));
    shop.coffee(ana, 1, 1);
    shop.coffee(ana, 2, 1);
    shop.coffee(ben, 3, 1);
    shop.coffee(eve, 4, 1);
    shop.crm.merge(ana, ben, why()).unwrap();
    assert_eq!(earned(&shop, ben).len(), 1);
    shop.crm.part(ana, ben, why()).unwrap();
    assert_eq!((earned(&shop, ana).len(), earned(&shop, ben).len()), (1, 0));
    // Two who have one order each have two together.
    shop.crm.merge(ben, eve, why()).unwrap();
    assert_eq!(earned(&shop, eve).len(), 1);
}

#[test]
fn of_a_badge_that_several_earned_who_turn_out_to_be_one_the_first_time_counts() {
    for ana_goes_first in [true, false] {
        let shop = Shop::new([two_orders()]);
        let [ana, ben] = [0, 1].map(|n| shop.came(n));
        let [first, second] = if ana_goes_first { [ana, ben] } else { [ben, ana] };
        for (customer, at) in [(first, 4), (second, 7)] {
            shop.clock.set(hour(at));
            shop.coffee(customer, 10 * at as usize, 1);
            shop.coffee(customer, 10 * at as usize + 1, 1);
        }
        shop.crm.merge(ana, ben, why()).unwrap();
        assert_eq!(earned(&shop, ben), [("two orders".into(), 4)]);
    }
}

#[test]
fn a_customer_who_is_folded_anew_still_comes_to_a_badge_by_time() {
    let old = Predicate::compare(Attribute::AgeDays, Comparison::Ge, 10);
    let definitions = || [Definition::Badge(badge("ten days"), Some(Box::new(Badge::new(old.clone()))))];
    let shop = Shop::new(definitions());
    let ana = shop.came(0);
    let export = shop.crm.export(ana).unwrap().unwrap();
    let again = Shop::new(definitions());
    again.crm.import(&export).unwrap();
    again.clock.set(hour(300));
    again.crm.advance(hour(300)).unwrap();
    assert_eq!(earned(&again, ana), [("ten days".into(), 241)]);
}

#[test]
fn what_cannot_be_kept_is_refused_as_a_definition() {
    let past = Predicate::WasIn(SegmentName::new("vips").unwrap(), Some(Span::days(1)));
    let with = |change: &dyn Fn(&mut Reward)| {
        let mut terms = a_mug();
        change(&mut terms);
        reward(terms)
    };
    let zero = Money::new(0, Currency::EUR);
    let bad = [
        with(&|terms| terms.points = 0),
        with(&|terms| terms.points = u64::MAX),
        with(&|terms| terms.each = Some(0)),
        with(&|terms| terms.money = Some(zero)),
        with(&|terms| terms.gives = RewardGives::Credit(zero)),
        with(&|terms| (terms.from, terms.until) = (Some(hour(2)), Some(hour(1)))),
        with(&|terms| terms.when = Some(past.clone())),
        card(0),
        Definition::StampCard(tenth(), Some(Box::new(StampCard::new(Lines::default(), 5, coupon())))),
        Definition::Badge(badge("past"), Some(Box::new(Badge::new(past.clone())))),
        Definition::Badge(
            badge("none"),
            Some(Box::new(Badge::new(Predicate::All(Vec::new())).with_points(points(), 0))),
        ),
    ];
    let crm = Crm::in_memory();
    for definition in bad {
        let refused = crm.define(hour(0), definition.clone());
        assert!(matches!(refused, Err(Error::Definition(crm::DefinitionError::Rewards { .. }))), "{definition:?}");
    }
}

#[test]
fn of_thirty_two_at_once_as_many_get_a_reward_as_there_are_in_memory() {
    redeemers::a_reward(&(Arc::new(MemoryStore::new()) as Arc<dyn Store>));
}

#[cfg(feature = "sqlite")]
#[test]
fn of_thirty_two_at_once_as_many_get_a_reward_as_there_are_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    redeemers::a_reward(&(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()) as Arc<dyn Store>));
}
