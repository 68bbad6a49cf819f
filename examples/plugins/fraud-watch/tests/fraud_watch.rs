//! The workflow's logic, tested natively: no host is needed.

use crm_plugin_sdk::{Action, Entries, Event, Workflow};
use fraud_watch::{FraudWatch, Happening, History, Kind, TAG};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn workflow() -> FraudWatch {
    let mut workflow = FraudWatch::default();
    let params = Entries::new().with("points_a_day", 5_000).with("gifts_a_day", 5).with("refunds_a_month", 4);
    workflow.configure(&params).unwrap();
    workflow
}

fn posted(at_ms: i64, posting: &str, points: i64) -> Event {
    Event {
        at_ms,
        ..Event::new("points_posted").with("program", "club").with("posting", posting).with("points", points)
    }
}

fn refunded(at_ms: i64) -> Event {
    Event { at_ms, ..Event::new("refunded").with("amount", 4_000).with("currency", "EUR") }
}

/// For each event the reasons it gave, and how much was counted.
fn told(events: impl IntoIterator<Item = Event>) -> Vec<Vec<(String, i64)>> {
    let (workflow, mut memory) = (workflow(), Vec::new());
    let mut told = Vec::new();
    for event in events {
        let outcome = workflow.handle(&event, &Entries::new(), &memory).unwrap();
        memory = outcome.memory;
        let reason = |action: &Action| Some((action.args.text("reason")?.to_owned(), action.args.int("count")?));
        let reasons: Vec<_> = outcome.actions.iter().filter_map(reason).collect();
        assert_eq!(outcome.actions.first() == Some(&Action::add_tag(TAG)), !reasons.is_empty());
        told.push(reasons);
    }
    told
}

/// The reasons of the last event; those before gave none.
fn last(events: impl IntoIterator<Item = Event>) -> Vec<(String, i64)> {
    let mut told = told(events);
    let last = told.pop().unwrap();
    assert!(told.iter().all(Vec::is_empty), "{told:?}");
    last
}

fn because(reason: &str, count: i64) -> Vec<(String, i64)> {
    vec![(reason.to_owned(), count)]
}

#[test]
fn points_that_come_faster_than_anybody_shops_are_told() {
    let earned = |points| {
        [posted(0, "earned", 3_000), posted(HOUR_MS, "received", 1_500), posted(DAY_MS - 1, "awarded", points)]
    };
    assert_eq!(last(earned(500)), []);
    assert_eq!(last(earned(501)), because("points-velocity", 5_001));
    // The first ones are a day old by then.
    assert_eq!(last([posted(0, "earned", 4_000), posted(DAY_MS, "earned", 4_000)]), []);
}

#[test]
fn an_account_that_hands_its_points_on_in_a_hurry_is_told() {
    assert_eq!(last((0..5).map(|hour| posted(hour * HOUR_MS, "given", -100))), []);
    assert_eq!(last((0..6).map(|hour| posted(hour * HOUR_MS, "given", -100))), because("gifts-given", 6));
    assert_eq!(last((0..30).map(|gift| posted(gift * 5 * HOUR_MS, "given", -100))), []);
}

#[test]
fn an_account_that_gathers_the_points_of_many_is_told() {
    assert_eq!(last((0..6).map(|hour| posted(hour * HOUR_MS, "received", 100))), because("gifts-received", 6));
}

#[test]
fn refunds_one_after_the_other_are_told() {
    assert_eq!(last((0..5).map(|refund| refunded(refund * 7 * DAY_MS))), because("refunds", 5));
    assert_eq!(last((0..20).map(|refund| refunded(refund * 8 * DAY_MS))), []);
}

#[test]
fn points_spent_before_an_order_goes_back_are_told() {
    let story =
        |hours: i64| [posted(0, "earned", 400), posted(HOUR_MS, "spent", -300), refunded((1 + hours) * HOUR_MS)];
    assert_eq!(last(story(23)), because("spent-before-refund", 300));
    assert_eq!(last(story(24)), []);
    // Spending after a refund is nobody's trick.
    assert_eq!(last([refunded(0), posted(HOUR_MS, "spent", -300)]), []);
}

#[test]
fn a_reason_is_told_once_a_day() {
    let told = told((0..40).map(|hour| posted(hour * HOUR_MS, "given", -1)));
    let hours: Vec<usize> = (0..40).filter(|hour| !told[*hour].is_empty()).collect();
    assert_eq!(hours, [5, 29]);
}

#[test]
fn a_late_event_counts_in_its_own_time() {
    let gifts = (0..3).map(|hour| posted(hour * HOUR_MS, "given", -1)).chain([posted(9 * DAY_MS, "given", -1)]);
    let late = (3..6).map(|hour| posted(hour * HOUR_MS, "given", -1));
    assert_eq!(last(gifts.chain(late)), because("gifts-given", 6));
}

#[test]
fn other_postings_are_nothing_to_watch() {
    let event = posted(0, "expired", -9_000_000);
    let outcome = workflow().handle(&event, &Entries::new(), b"kept as it is").unwrap();
    assert_eq!((outcome.actions, outcome.memory), (vec![], b"kept as it is".to_vec()));
}

#[test]
fn a_flood_is_remembered_within_its_bounds_and_extremes_do_no_harm() {
    let mut history = History::default();
    for at_ms in 0..1_000 {
        history.add(Happening { kind: Kind::Gained, at_ms, amount: i64::MAX });
    }
    assert_eq!(history.of(Kind::Gained, 1_000, 1).count(), 200);
    assert!(history.write().len() < 4_096);
    assert_eq!(History::read(&history.write()), history);
    assert_eq!(last([posted(i64::MIN, "given", i64::MIN)]), []);
    assert_eq!(last([posted(i64::MAX, "earned", i64::MIN)]), because("points-velocity", i64::MAX));
}

#[test]
fn what_somebody_else_wrote_is_forgotten() {
    for strange in [&b""[..], b"\x01", b"something else entirely, but long enough to be a history of it"] {
        assert_eq!(History::read(strange), History::default());
    }
}

#[test]
fn a_limit_that_makes_no_sense_is_declined() {
    let params = Entries::new().with("points_a_day", 0).with("gifts_a_day", 5).with("refunds_a_month", 4);
    assert_eq!(FraudWatch::default().configure(&params).unwrap_err().code(), "bad-limit");
}
