//! When points end, and when it is told ahead: by whichever version of the programme is in force then.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each test file uses its part")]
mod loyal;

use crm::loyalty::PointsEnd;
use crm::{
    Command, CustomerId, Decision, Deed, Definition, EventBody, Expiry, PostingKind, Program, RedeemPoints, Span,
    TierName, TierRule, Timestamp,
};
use loyal::{Shop, at, generous, points};

fn day(days: u64) -> Timestamp {
    at(days * 24)
}

fn after(days: u32) -> Program {
    Program { expiry: Expiry::After(Span::days(days)), ..generous() }
}

fn after_activity(days: u32) -> Program {
    Program { expiry: Expiry::AfterActivity(Span::days(days)), ..generous() }
}

fn define(shop: &Shop, from: Timestamp, program: Program) {
    shop.crm.define(from, Definition::Program(points(), Some(program))).unwrap();
}

fn deeds<T>(shop: &Shop, id: CustomerId, mut of: impl FnMut(Timestamp, &Deed) -> Option<T>) -> Vec<T> {
    let story = shop.crm.story(id).unwrap().unwrap();
    let decided = story.events.iter().filter_map(|event| match &event.body {
        EventBody::Decision(Decision { deed, .. }) => of(event.at, deed),
        EventBody::Fact(_) | EventBody::Unrecognised { .. } => None,
    });
    decided.collect()
}

/// On which day somebody was reminded, of how many points, and on which day these end.
fn reminded(shop: &Shop, id: CustomerId) -> Vec<(i64, i64, i64)> {
    let whole = |instant: Timestamp| instant.days_since(at(0));
    deeds(shop, id, |on, deed| {
        let Deed::PointsReminded(reminded) = deed else { return None };
        Some((whole(on), reminded.points, whole(reminded.expires_at)))
    })
}

/// When points expired, and how many.
fn expired(shop: &Shop, id: CustomerId) -> Vec<(Timestamp, i128)> {
    deeds(shop, id, |on, deed| {
        let Deed::PointsPosted(posting) = deed else { return None };
        matches!(posting.kind, PostingKind::Expired { .. }).then(|| (on, -posting.points()))
    })
}

#[test]
fn points_that_come_later_and_end_sooner_than_what_was_told_are_told_too() {
    let remind = Some(Span::days(10));
    let shop = Shop::new(Program { remind, ..after(30) });
    let ana = shop.rich("ana", 100);
    shop.advance(day(21));
    assert_eq!(reminded(&shop, ana), [(20, 100, 30)]);
    define(&shop, day(21), Program { remind, ..after(5) });
    shop.award(ana, 50, "a day before the others");
    shop.advance(day(22));
    shop.award(ana, 7, "with the others");
    shop.award(ana, 7, "with the others, too");
    for days in 22..29 {
        shop.advance(day(days));
    }
    assert_eq!(
        reminded(&shop, ana),
        [(20, 100, 30), (21, 50, 26), (22, 7, 27)],
        "each end once, when points come to it"
    );
    shop.check_replay(ana);
}

#[test]
fn points_that_cannot_be_spent_yet_are_told_of_too() {
    let pending = crm::loyalty::Pending::AfterDelivery(Span::days(1));
    let shop = Shop::new(Program { pending, remind: Some(Span::days(7)), ..after(30) });
    let ana = shop.order("ana", "1", 100, at(0));
    shop.award(ana, 5, "thanks");
    shop.advance(day(40));
    assert_eq!((reminded(&shop, ana), expired(&shop, ana)), (vec![(23, 105, 30)], vec![(day(30), 105)]));
}

#[test]
fn a_version_that_begins_to_remind_tells_what_is_near_when_it_takes_over() {
    let shop = Shop::new(after(30));
    let ana = shop.rich("ana", 100);
    define(&shop, day(21), Program { remind: Some(Span::days(15)), ..after(30) });
    shop.advance(day(25));
    shop.award(ana, 1, "touch");
    assert_eq!(reminded(&shop, ana), [(21, 100, 30)]);
    shop.advance(day(31));
    assert_eq!((shop.balance(ana), shop.check_totals()), (1, 1));
    shop.check_replay(ana);
}

#[test]
fn a_version_that_shortens_how_long_points_last_ends_none_before_it_takes_over() {
    let shop = Shop::new(after_activity(365));
    let ana = shop.order("ana", "1", 100, at(0));
    shop.advance(day(100));
    define(&shop, day(100), after_activity(30));
    shop.clock.set(day(101));
    // Whatever happens to her is after it, and an order does not bring back what is over.
    shop.order("ana", "2", 10, day(101));
    assert_eq!((shop.balance(ana), expired(&shop, ana)), (10, vec![(day(100), 100)]));
    shop.advance(day(131));
    assert_eq!(expired(&shop, ana), [(day(100), 100), (day(131), 10)]);
    assert_eq!(shop.check_totals(), 0);
    shop.check_replay(ana);
}

#[test]
fn a_version_that_is_known_ahead_needs_nothing_to_happen() {
    let shop = Shop::new(after_activity(365));
    define(&shop, day(100), after_activity(30));
    let ana = shop.order("ana", "1", 100, at(0));
    shop.advance(day(99));
    assert_eq!(shop.balance(ana), 100);
    shop.advance(day(100));
    assert_eq!((shop.balance(ana), expired(&shop, ana)), (0, vec![(day(100), 100)]));
    shop.check_replay(ana);
}

#[test]
fn of_somebody_who_is_not_heard_of_a_newer_version_is_acted_by_when_all_are_looked_at_anew() {
    let shop = Shop::new(after_activity(365));
    let ana = shop.order("ana", "1", 100, at(0));
    shop.advance(day(100));
    define(&shop, day(100), after_activity(30));
    shop.advance(day(101));
    assert_eq!(shop.balance(ana), 100, "her alarm is as it was");
    shop.crm.refresh().unwrap();
    assert_eq!((shop.balance(ana), expired(&shop, ana)), (0, vec![(day(100), 100)]));
    shop.check_replay(ana);
}

#[test]
fn a_version_that_lengthens_it_keeps_what_has_not_ended_by_then() {
    for (takes_over, left) in [(30, 100), (31, 0)] {
        let shop = Shop::new(after_activity(30));
        let ana = shop.order("ana", "1", 100, at(0));
        define(&shop, day(takes_over), after_activity(90));
        shop.advance(day(31));
        assert_eq!(shop.balance(ana), left, "from day {takes_over} on");
        shop.award(ana, 1, "touch");
        shop.advance(day(91));
        assert_eq!((shop.balance(ana), expired(&shop, ana).len()), (1, 1));
        shop.check_replay(ana);
    }
}

/// How many points end when, in the order in which they are spent.
fn ends(shop: &Shop, id: CustomerId) -> Vec<(i64, PointsEnd)> {
    let ends = shop.crm.points_ends(id, &points()).unwrap().unwrap();
    ends.iter().map(|(lot, end)| (lot.left(), *end)).collect()
}

#[test]
fn it_is_told_when_each_lot_ends_and_whether_activity_moves_that() {
    let shop = Shop::new(after(30));
    let ana = shop.order("ana", "1", 100, at(0));
    assert_eq!(ends(&shop, ana), [(100, PointsEnd::At(day(30)))]);
    define(&shop, day(1), after_activity(10));
    define(&shop, day(40), generous());
    shop.advance(day(2));
    shop.order("ana", "2", 20, day(2));
    assert_eq!(ends(&shop, ana), [(100, PointsEnd::At(day(30))), (20, PointsEnd::UnlessActive(day(12)))]);
    shop.advance(day(5));
    shop.visitor("ana");
    shop.award(ana, 5, "thanks");
    assert_eq!(ends(&shop, ana)[1..], [(20, PointsEnd::UnlessActive(day(15))), (5, PointsEnd::UnlessActive(day(15)))]);
    // It is known that by the fortieth day points have no end.
    for key in [12, 21] {
        shop.advance(day(key));
        shop.order("ana", &format!("on {key}"), 1, day(key));
    }
    shop.advance(day(30));
    shop.order("ana", "on 30", 1, day(30));
    assert_eq!(expired(&shop, ana), [(day(30), 100)]);
    let all: Vec<_> = ends(&shop, ana).into_iter().map(|(_, end)| end).collect();
    assert_eq!(all, [PointsEnd::Never; 5], "day 40 and after it there is none");
    assert_eq!(shop.crm.points_ends(ana, &crm::ProgramId::new("other").unwrap()).unwrap(), Some(Vec::new()));
    shop.check_replay(ana);
}

/// Points last for ten days after the last activity, and those that are earned in silver for twenty more.
fn silver_lasts() -> Program {
    let mut program = after_activity(10);
    let mut rule = TierRule::new(TierName::new("silver").unwrap(), 100);
    rule.points_last_longer = Some(Span::days(20));
    program.tiers.rules.push(rule);
    program
}

#[test]
fn what_is_earned_in_a_tier_lasts_longer_after_the_last_activity_too_and_goes_on_doing_so() {
    let shop = Shop::new(silver_lasts());
    let tier = |id| shop.customer(id).standing().tier(&points()).cloned();
    let ana = shop.order("ana", "1", 100, at(0));
    shop.advance(day(1));
    shop.order("ana", "2", 40, day(1));
    shop.award(ana, 3, "thanks");
    let unless = |on| PointsEnd::UnlessActive(day(on));
    assert_eq!(ends(&shop, ana), [(100, unless(11)), (40, unless(31)), (3, unless(31))]);
    shop.advance(day(5));
    shop.visitor("ana");
    assert_eq!(ends(&shop, ana), [(100, unless(15)), (40, unless(35)), (3, unless(35))]);
    // With what made the tier it goes; what was earned in it lasts as it did, and what comes now does not.
    shop.refund("ana", "1", 100, day(5));
    assert_eq!(tier(ana), None);
    shop.order("ana", "3", 7, day(5));
    let spend = RedeemPoints { program: points(), points: 2, reason: "mug".parse().unwrap(), order: None, total: None };
    shop.crm.execute(ana, Command::RedeemPoints(spend), "spend").unwrap();
    assert_eq!(
        ends(&shop, ana),
        [(5, unless(15)), (40, unless(35)), (3, unless(35))],
        "what ends first is spent first"
    );
    shop.advance(day(35));
    assert_eq!(expired(&shop, ana), [(day(15), 5), (day(35), 43)]);
    assert_eq!(shop.check_totals(), 0);
    shop.check_replay(ana);
}

#[test]
fn points_of_a_tier_that_are_lent_or_handed_on_last_as_long_as_they_did() {
    let shop = Shop::new(silver_lasts());
    let ana = shop.order("ana", "1", 100, at(0));
    shop.order("ana", "2", 40, at(0));
    let (ben, cleo) = (shop.visitor("ben"), shop.visitor("cleo"));
    let gift = crm::GivePoints { program: points(), points: 110, reason: "birthday".parse().unwrap() };
    shop.crm.give_points(ana, cleo, gift, "gift").unwrap();
    let unless = |on| PointsEnd::UnlessActive(day(on));
    assert_eq!(ends(&shop, cleo), [(100, unless(10)), (10, unless(30))]);
    // Ben spends ten of what ana has, and pays them back.
    shop.crm.merge(ana, ben, "one".parse().unwrap()).unwrap();
    let spend =
        RedeemPoints { program: points(), points: 10, reason: "mug".parse().unwrap(), order: None, total: None };
    shop.crm.execute(ben, Command::RedeemPoints(spend), "spend").unwrap();
    shop.crm.part(ben, ana, "two".parse().unwrap()).unwrap();
    let lots = ends(&shop, ana);
    assert!(lots.iter().all(|(_, end)| *end == unless(30)), "{lots:?}");
    assert_eq!(lots.iter().map(|(points, _)| points).sum::<i64>(), 30);
    [ana, ben, cleo].iter().for_each(|id| shop.check_replay(*id));
}
