//! Scores that plugins gave.

use crm_core::Timestamp;

use super::Fixture;
use super::sample::{create, customer, score, touch};
use super::shop::Shop;
use crate::commit::{CustomerWrite, Expected, Version};
use crate::error::CommitError;
use crate::row::{ScoreRow, ScoresAsked};

/// By plugin, output and instant, not by when they were written.
pub async fn scores_come_in_order(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let ordered = [
        score("a", "x", -5, 1.0),
        score("a", "x", 10, 2.0),
        score("a", "y", 1, 3.0),
        score("b", "x", 1, f64::MIN_POSITIVE),
        score("b", "x", 2, -1e300),
    ];
    let write = [3, 0, 4, 2].into_iter().fold(create(1), |write, at: usize| write.score(ordered[at].clone()));
    shop.done(write).await;
    shop.done(create(2).score(score("c", "x", 1, 9.0))).await;
    shop.done(touch(1, 1).score(ordered[1].clone())).await;
    assert_eq!(shop.scores(customer(1)).await, ordered);
    assert_eq!(shop.scores(customer(2)).await, [score("c", "x", 1, 9.0)]);
    assert!(shop.scores(customer(3)).await.is_empty());
}

/// One for the same plugin, output and instant takes the place of the earlier one, whole.
pub async fn a_score_replaces_the_one_of_its_instant(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1).score(score("a", "x", 1, 1.0)).score(score("a", "x", 2, 1.0))).await;
    let mut newer = score("a", "x", 1, 7.5);
    newer.version = "2.0.0".into();
    newer.input = crm_core::Digest::of(b"other input");
    shop.done(touch(1, 1).score(score("a", "x", 1, 4.0)).score(newer.clone())).await;
    assert_eq!(shop.scores(customer(1)).await, [newer, score("a", "x", 2, 1.0)]);
}

/// When it was kept and what it was made for come back as they were said, also where nothing was said, and go with the
/// score that another replaces.
pub async fn when_and_what_for_a_score_was_made_is_kept(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let said = |millis, recorded_at, terms: &str| ScoreRow {
        recorded_at,
        terms: terms.into(),
        ..score("a", "x", millis, 1.0)
    };
    let rows = [
        said(1, None, ""),
        said(2, Some(Timestamp::MIN), r#"{"for":["marketing"]}"#),
        said(3, Some(Timestamp::MAX), "\u{202e}\"'{}"),
    ];
    shop.done(rows.iter().fold(create(1), |write, row| write.score(row.clone()))).await;
    assert_eq!(shop.scores(customer(1)).await, rows);
    for row in &rows {
        let asked = ScoresAsked { plugin: "a".into(), outputs: vec!["x".into()], at: row.at };
        let page = shop.scan(10, Some(&asked)).await;
        assert_eq!(page[0].scores[0].known.as_ref(), Some(row));
    }
    let again = said(2, None, "");
    shop.done(touch(1, 1).score(again.clone())).await;
    let [first, _, third] = rows;
    assert_eq!(shop.scores(customer(1)).await, [first, again, third]);
}

/// A zero has no sign, so that scores are the same in every store.
pub async fn a_zero_score_has_no_sign(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1).score(score("a", "x", 1, -0.0)).score(score("a", "x", 2, 0.1 + 0.2))).await;
    let bits: Vec<u64> = shop.scores(customer(1)).await.iter().map(|score| score.value.to_bits()).collect();
    assert_eq!(bits, [0, (0.1_f64 + 0.2).to_bits()]);
}

/// One that is not there is gone already, and nobody else's goes with it.
pub async fn a_score_that_goes_is_gone_and_the_others_stay(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let three = || [score("a", "x", 1, 1.0), score("a", "x", 2, 2.0), score("a", "y", 1, 3.0)];
    for number in [1, 2] {
        shop.done(three().into_iter().fold(create(number), |write, score| write.score(score))).await;
    }
    shop.done(touch(1, 1).without("a", "x", 1).without("a", "x", 7).without("b", "x", 1)).await;
    let [_, second, third] = three();
    assert_eq!(shop.scores(customer(1)).await, [second, third]);
    assert_eq!(shop.scores(customer(2)).await, three());
}

/// What goes goes first, whatever the order in which it is said; so one that goes and comes is there.
pub async fn a_score_that_goes_in_the_commit_of_another_makes_room_for_it(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1).score(score("a", "x", 1, 1.0)).score(score("a", "x", 2, 2.0))).await;
    let newer = [score("a", "x", 2, 5.0), score("a", "x", 3, 3.0)];
    let write = newer.iter().fold(touch(1, 1), |write, score| write.score(score.clone()));
    shop.done(write.without("a", "x", 1).without("a", "x", 2)).await;
    assert_eq!(shop.scores(customer(1)).await, newer);
    let at_zero = Version(0);
    let refused = CustomerWrite { expected: Expected::At(at_zero), ..touch(1, 1).without("a", "x", 3) };
    assert!(matches!(shop.commit(refused).await, Err(CommitError::Conflict { .. })));
    assert_eq!(shop.scores(customer(1)).await, newer, "a refused commit takes nothing away");
}
