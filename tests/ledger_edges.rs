//! Edges of the ledger, each where a ledger with one small thing wrong would not be noticed otherwise.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each test file uses its part")]
mod loyal;

use crm::loyalty::{
    Cap, ForfeitPoints, HoldName, HoldPoints, ImportedLot, On, Pending, Per, ReinstatePoints, ReleaseHold, Shortfall,
    UndoPosting,
};
use crm::{
    AttributeSet, Command, CustomerId, DeclaredKind, DeclaredName, DeclaredValue, Definition, EarningRule, EventId,
    Expiry, Formula, GivePoints, ImportedBalance, Incoming, Ingestion, LoyaltyError, PointsImport, Program,
    RedeemPoints, Remark, RuleName, Source, Span, Timestamp, Visited, Voided,
};
use loyal::{Shop, at, generous, points};

fn day(days: u64) -> Timestamp {
    at(days * 24)
}

fn why() -> Remark {
    "test".parse().unwrap()
}

fn ask(shop: &Shop, who: CustomerId, command: Command, key: &str) -> Result<EventId, LoyaltyError> {
    shop.ask(who, command, key)
}

fn redeem(amount: i64, order: Option<&str>) -> Command {
    let order = order.map(|order| order.parse().unwrap());
    Command::RedeemPoints(RedeemPoints { program: points(), points: amount, reason: why(), order, total: None })
}

/// What somebody can spend, what they owe, and what their lots have.
fn has(shop: &Shop, who: CustomerId) -> (i128, i64, i64) {
    let customer = shop.customer(who);
    let book = customer.book(&points()).unwrap();
    (book.balance(), book.owed(), book.lots().iter().map(|lot| lot.left()).sum())
}

#[test]
fn of_a_payment_that_is_left_after_another_was_undone_its_share_comes_back() {
    let shop = Shop::new(generous());
    let ana = shop.rich("ana", 100);
    let posting = ask(&shop, ana, redeem(60, Some("1")), "pay").unwrap();
    ask(&shop, ana, redeem(20, Some("1")), "pay more").unwrap();
    shop.order("ana", "1", 10, at(0));
    ask(&shop, ana, Command::UndoPosting(UndoPosting { posting, reason: why() }), "undo").unwrap();
    assert_eq!(shop.balance(ana), 90);
    shop.refund("ana", "1", 5, at(0));
    assert_eq!((shop.balance(ana), shop.check_totals()), (95, 95), "ten of the twenty, less five of the ten earned");
    shop.check_replay(ana);
}

#[test]
fn what_is_reinstated_is_of_those_whose_window_is_open_and_not_a_second_time() {
    let reinstate_within = Some(Span::days(5));
    let shop = Shop::new(Program { expiry: Expiry::After(Span::days(10)), reinstate_within, ..generous() });
    let ana = shop.order("ana", "1", 100, day(0));
    shop.advance(day(3));
    shop.order("ana", "2", 40, day(3));
    // At this very instant the window of the hundred closes.
    shop.advance(day(15));
    let back = |key: &str| {
        let all = ReinstatePoints { program: points(), points: None, reason: why() };
        ask(&shop, ana, Command::ReinstatePoints(all), key).map(drop)
    };
    assert_eq!(back("once"), Ok(()));
    assert_eq!(shop.balance(ana), 40);
    assert_eq!(back("twice"), Err(LoyaltyError::NotReinstatable { asked: 0, available: 0 }));
    shop.check_replay(ana);
}

#[test]
fn lots_that_become_active_at_once_pay_a_debt_once() {
    let shop = Shop::new(Program { pending: Pending::For(Span::days(14)), ..generous() });
    let ana = shop.order("ana", "1", 100, day(0));
    shop.advance(day(14));
    ask(&shop, ana, redeem(100, None), "all").unwrap();
    shop.void("ana", "1", day(14));
    assert_eq!(has(&shop, ana), (-100, 100, 0));
    shop.advance(day(20));
    shop.order("ana", "2", 30, day(20));
    shop.order("ana", "3", 90, day(20));
    shop.advance(day(34));
    assert_eq!(has(&shop, ana), (20, 0, 20));
    shop.check_replay(ana);
}

#[test]
fn what_is_owed_already_counts_against_what_may_be_owed() {
    let shop = Shop::new(Program { shortfall: Shortfall::OwedUpTo(50), ..generous() });
    let ana = shop.order("ana", "1", 40, at(0));
    shop.order("ana", "2", 40, at(0));
    ask(&shop, ana, redeem(80, None), "all").unwrap();
    shop.refund("ana", "1", 40, at(0));
    assert_eq!(has(&shop, ana), (-40, 40, 0));
    shop.refund("ana", "2", 40, at(0));
    assert_eq!((has(&shop, ana), shop.check_totals()), ((-50, 50, 0), -50), "and thirty are the programme's");
    shop.check_replay(ana);
}

#[test]
fn what_is_released_and_what_comes_back_of_an_order_pays_what_is_owed() {
    let shop = Shop::new(generous());
    let ana = shop.order("ana", "1", 100, at(0));
    let hold: HoldName = "cart".parse().unwrap();
    let held = HoldPoints { program: points(), points: 40, hold: hold.clone(), until: None };
    ask(&shop, ana, Command::HoldPoints(held), "hold").unwrap();
    ask(&shop, ana, redeem(60, Some("2")), "pay").unwrap();
    shop.order("ana", "2", 10, at(0));
    shop.void("ana", "1", at(0));
    assert_eq!(has(&shop, ana), (-90, 90, 40), "what is held is nobody's to take, and ten were there");
    ask(&shop, ana, Command::ReleaseHold(ReleaseHold { program: points(), hold }), "release").unwrap();
    assert_eq!(has(&shop, ana), (-50, 50, 0));
    // Sixty come back, and the ten that it had earned go.
    shop.void("ana", "2", at(0));
    assert_eq!((has(&shop, ana), shop.check_totals()), ((0, 0, 0), 0));
    shop.check_replay(ana);
}

#[test]
fn whoever_leaves_owes_nothing_and_gets_nothing_back() {
    let reinstate_within = Some(Span::days(5));
    let shop = Shop::new(Program { expiry: Expiry::After(Span::days(10)), reinstate_within, ..generous() });
    let ana = shop.order("ana", "1", 100, day(0));
    shop.advance(day(11));
    shop.order("ana", "2", 30, day(11));
    ask(&shop, ana, redeem(30, None), "all").unwrap();
    shop.void("ana", "2", day(11));
    assert_eq!(has(&shop, ana), (-30, 30, 0));
    let leave =
        |key: &str| ask(&shop, ana, Command::ForfeitPoints(ForfeitPoints { program: points(), reason: why() }), key);
    leave("leave").unwrap();
    assert_eq!((has(&shop, ana), shop.check_totals()), ((0, 0, 0), 0));
    let back = ReinstatePoints { program: points(), points: None, reason: why() };
    let none = Err(LoyaltyError::NotReinstatable { asked: 0, available: 0 });
    assert_eq!(ask(&shop, ana, Command::ReinstatePoints(back), "back"), none);
    // What was held is nobody's either.
    shop.award(ana, 50, "again");
    let hold: HoldName = "cart".parse().unwrap();
    let held = HoldPoints { program: points(), points: 40, hold: hold.clone(), until: None };
    ask(&shop, ana, Command::HoldPoints(held), "hold").unwrap();
    leave("leave again").unwrap();
    assert_eq!((has(&shop, ana), shop.check_totals()), ((0, 0, 0), 0));
    let release = ReleaseHold { program: points(), hold: hold.clone() };
    assert_eq!(ask(&shop, ana, Command::ReleaseHold(release), "release"), Err(LoyaltyError::NoHold { hold }));
    shop.check_replay(ana);
}

#[test]
fn each_lot_becomes_active_in_its_own_time_and_may_end_before_it_does() {
    let pending = Pending::For(Span::days(14));
    let shop = Shop::new(Program { pending, ..generous() });
    let ana = shop.order("ana", "1", 100, day(0));
    shop.advance(day(5));
    shop.order("ana", "2", 30, day(5));
    shop.advance(day(14));
    let waits = |who| shop.customer(who).book(&points()).unwrap().pending();
    assert_eq!((shop.balance(ana), waits(ana)), (100, 30));
    shop.advance(day(19));
    assert_eq!((shop.balance(ana), waits(ana)), (130, 0));
    shop.check_replay(ana);
    let shop = Shop::new(Program { pending, expiry: Expiry::After(Span::days(10)), ..generous() });
    let ana = shop.order("ana", "1", 100, day(0));
    shop.advance(day(10));
    assert_eq!((has(&shop, ana), shop.check_totals()), ((0, 0, 0), 0));
    // Gone is gone: its order takes nothing more along.
    shop.void("ana", "1", day(10));
    assert_eq!((has(&shop, ana), shop.check_totals()), ((0, 0, 0), 0));
    shop.check_replay(ana);
}

#[test]
fn what_is_given_again_when_a_refund_was_a_mistake_is_given_once_and_counts_against_a_cap() {
    let orders: RuleName = "orders".parse().unwrap();
    let mut program = generous();
    program.earning[0].cap = Some(Cap { points: 150, per: Per::Ever });
    let shop = Shop::new(program);
    let ana = shop.order("ana", "1", 100, at(0));
    let given = || shop.customer(ana).book(&points()).unwrap().given_by(&orders, None);
    shop.refund("ana", "1", 60, at(0));
    assert_eq!((shop.balance(ana), given()), (40, 40));
    shop.void("ana", &format!("refund of 1 at {}", at(0)), at(0));
    assert_eq!((shop.balance(ana), given()), (100, 100));
    let postings = || {
        let story = shop.crm.story(ana).unwrap().unwrap();
        story.events.iter().filter(|event| event.body.kind() == "points_posted").count()
    };
    // Whatever has everything looked at once more posts nothing of it again.
    let before = postings();
    shop.void("ana", "void of nothing", at(0));
    assert_eq!((postings(), given()), (before, 100));
    shop.order("ana", "2", 100, at(0));
    assert_eq!((shop.balance(ana), given()), (150, 150));
    shop.check_replay(ana);
}

#[test]
fn a_cap_counts_what_was_given_for_a_day_of_the_year() {
    let birthday = || DeclaredName::new("birthday").unwrap();
    let mut rule = EarningRule::new("birthday".parse().unwrap(), Formula::Fixed(20));
    rule.on = On::Yearly(birthday());
    rule.cap = Some(Cap { points: 30, per: Per::Ever });
    let shop = Shop::new(generous());
    let declared = Definition::Attribute(birthday(), Some(DeclaredKind::Instant));
    shop.crm.define(Timestamp::MIN, declared).unwrap();
    shop.crm.define(at(0), Definition::Program(points(), Some(generous().earning(rule)))).unwrap();
    let ana = shop.visitor("ana");
    let value = Some(DeclaredValue::Instant(Timestamp::parse("1990-07-14").unwrap()));
    let set = AttributeSet { attribute: birthday(), value };
    shop.crm.record(Incoming::new(ana, at(0), Source::new("shop").unwrap(), set)).unwrap();
    let years = [(365, 20), (2 * 365, 30), (5 * 365, 30)];
    for (days, there) in years {
        shop.advance(day(days));
        assert_eq!(shop.balance(ana), there, "after {days} days");
    }
    shop.check_replay(ana);
}

#[test]
fn an_action_that_is_taken_in_with_its_voiding_earns_nothing() {
    let mut rule = EarningRule::new("visit".parse().unwrap(), Formula::Fixed(5));
    rule.on = On::Visit;
    for how in [Ingestion::live(), Ingestion::history()] {
        let shop = Shop::new(generous().earning(rule.clone()));
        let ana = shop.order("ana", "1", 10, at(0));
        shop.advance(at(9));
        let told = |key: &str, hour: u64, fact: crm::Fact| {
            Incoming::new(ana, at(hour), Source::new("shop").unwrap(), fact).with_key(key.parse().unwrap())
        };
        let visited = |key: &str, hour| told(key, hour, Visited { channel: crm::Channel::Web, place: None }.into());
        let voids = |key: &str, hour, of: &str| {
            let event = EventId::of_fact(&crm::TenantId::default(), &Source::new("shop").unwrap(), of);
            told(key, hour, Voided { event, reason: None }.into())
        };
        // The voiding after what it is about, and before it; and one visit that stands.
        let all = vec![visited("a", 1), voids("x", 2, "a"), voids("y", 3, "b"), visited("b", 4), visited("c", 5)];
        shop.crm.ingest(all, how).unwrap();
        assert_eq!((shop.balance(ana), shop.check_totals()), (15, 15), "{how:?}");
        shop.check_replay(ana);
    }
}

#[test]
fn what_nobody_gives_any_more_is_not_given_again() {
    let shop = Shop::new(generous());
    shop.clock.set(at(1));
    let ana = shop.order("ana", "1", 100, at(1));
    shop.refund("ana", "1", 60, at(1));
    // As it turns out, there was no programme by then.
    shop.crm.define(at(1), Definition::Program(points(), None)).unwrap();
    shop.void("ana", &format!("refund of 1 at {}", at(1)), at(1));
    assert_eq!((has(&shop, ana), shop.check_totals()), ((40, 0, 40), 40));
    // What comes back of the order is taken back still.
    shop.clock.set(at(2));
    shop.refund("ana", "1", 100, at(2));
    assert_eq!((has(&shop, ana), shop.check_totals()), ((0, 0, 0), 0));
    shop.check_replay(ana);
}

#[test]
fn what_is_paid_after_a_refund_comes_back_by_what_comes_back_after_it() {
    let shop = Shop::new(generous());
    let ana = shop.rich("ana", 100);
    shop.order("ana", "1", 10, at(0));
    shop.refund("ana", "1", 5, at(0));
    ask(&shop, ana, redeem(40, Some("1")), "pay").unwrap();
    assert_eq!(shop.balance(ana), 65);
    // Three of the five that were left, and of the five points that it had earned.
    shop.clock.set(at(1));
    shop.refund("ana", "1", 3, at(1));
    assert_eq!(shop.balance(ana), 65 + 24 - 3);
    shop.clock.set(at(2));
    shop.refund("ana", "1", 2, at(2));
    assert_eq!((shop.balance(ana), shop.check_totals()), (100, 100));
    shop.check_replay(ana);
}

#[test]
fn what_ends_soonest_is_spent_first_then_what_is_oldest_and_what_never_ends_last() {
    let shop = Shop::new(generous());
    shop.advance(day(10));
    let ana = shop.visitor("ana");
    let lot = |earned: u64, end: Option<u64>| {
        let lot = ImportedLot::new(10, day(earned));
        end.map_or(lot.clone(), |end| lot.expiring_at(day(end)))
    };
    let lots = vec![lot(0, None), lot(3, Some(100)), lot(4, Some(50)), lot(1, Some(100)), lot(2, None)];
    let import = PointsImport::new(points(), "till".parse().unwrap(), why());
    let balance = ImportedBalance::new(ana, lots);
    shop.crm.import_points(&import, || [balance.clone()].into_iter(), |_| {}).unwrap();
    for (spent, oldest) in [4, 1, 3, 0, 2].into_iter().enumerate() {
        let first = shop.customer(ana).book(&points()).unwrap().lots()[0].terms.earned_at;
        assert_eq!(first, day(oldest), "after {spent}");
        ask(&shop, ana, redeem(10, None), &format!("{spent}")).unwrap();
    }
    assert_eq!(shop.customer(ana).book(&points()).unwrap().lots(), []);
    shop.check_replay(ana);
}

#[test]
fn a_gift_out_of_several_lots_pays_what_is_owed_once() {
    let shop = Shop::new(Program { expiry: Expiry::After(Span::days(100)), ..generous() });
    let ana = shop.order("ana", "1", 20, at(0));
    // These last longer, so that they are a lot of their own with whoever gets them too.
    shop.advance(day(1));
    shop.award(ana, 25, "more");
    let ben = shop.order("ben", "2", 30, day(1));
    ask(&shop, ben, redeem(30, None), "all").unwrap();
    shop.void("ben", "2", day(1));
    assert_eq!(has(&shop, ben), (-30, 30, 0));
    let gift = GivePoints { program: points(), points: 45, reason: why() };
    shop.crm.give_points(ana, ben, gift, "gift").unwrap();
    assert_eq!((has(&shop, ana), has(&shop, ben), shop.check_totals()), ((0, 0, 0), (15, 0, 15), 15));
    shop.check_replay(ana);
    shop.check_replay(ben);
}

#[test]
fn what_was_spent_of_the_others_points_is_settled_once_however_often_they_part() {
    let shop = Shop::new(generous());
    let (ana, ben) = (shop.rich("ana", 100), shop.visitor("ben"));
    shop.crm.merge(ana, ben, why()).unwrap();
    ask(&shop, ben, redeem(60, None), "mug").unwrap();
    for round in 0..3 {
        shop.crm.part(ana, ben, why()).unwrap();
        assert_eq!((shop.own_balance(ana), shop.own_balance(ben)), (100, -60), "round {round}");
        shop.crm.merge(ana, ben, why()).unwrap();
        assert_eq!((shop.balance(ana), shop.check_totals()), (40, 40), "round {round}");
    }
}

#[test]
fn what_came_back_of_what_was_spent_of_the_others_points_is_settled_no_more() {
    let shop = Shop::new(generous());
    let (ana, ben) = (shop.rich("ana", 100), shop.visitor("ben"));
    shop.crm.merge(ana, ben, why()).unwrap();
    ask(&shop, ben, redeem(60, Some("1")), "pay").unwrap();
    shop.order("ben", "1", 10, at(0));
    // Half of it comes back, and goes to her whose it was.
    shop.refund("ben", "1", 5, at(0));
    shop.crm.part(ana, ben, why()).unwrap();
    assert_eq!((shop.own_balance(ana), shop.own_balance(ben), shop.check_totals()), (100, 5 - 30, 75));
}
