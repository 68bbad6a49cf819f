//! Customers without their states.

use crm_core::{Column, SmolStr};

use super::Fixture;
use super::sample::{at, create, customer, score, tag, touch, update};
use super::shop::Shop;
use crate::commit::Version;
use crate::row::{OutputScores, Parts, ScoresAsked};

fn asked(plugin: &str, outputs: &[&str], millis: i64) -> ScoresAsked {
    ScoresAsked { plugin: plugin.into(), outputs: outputs.iter().map(SmolStr::new).collect(), at: at(millis) }
}

/// The version and the shape are those of the state, the traits those that were written with it.
pub async fn a_scan_has_everything_but_the_state(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1).column(Column::Orders, 3).set(tag("vip"))).await;
    shop.done(create(2)).await;
    shop.done(update(2, 1).column(Column::Spend, -7)).await;
    shop.done(touch(2, 2).score(score("a", "x", 1, 1.0))).await;
    let rows = shop.scan(10, None).await;
    assert_eq!(rows.iter().map(|row| row.customer).collect::<Vec<_>>(), [customer(1), customer(2)]);
    for row in &rows {
        let traits = shop.details(row.customer, Parts { traits: true, ..Parts::default() }).await.traits;
        let kept = shop.load_one(row.customer).await.expect("whoever is scanned is there");
        assert_eq!((row.version, row.shape, &row.traits), (kept.version, kept.state.shape, &traits));
        assert!(row.scores.is_empty(), "none were asked for");
    }
    assert_eq!(rows[1].version, Version(2));
    assert_eq!(rows[0].traits.columns.get(Column::Orders), Some(3));
}

/// As of when there are any, oldest first, and that of the instant whole; those of others are not among them.
pub async fn a_scan_brings_the_scores_that_were_asked_for(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let scores = [("a", "x", 3, 1.0), ("a", "x", 1, 2.0), ("a", "y", 1, 3.0), ("b", "x", 2, 4.0)];
    let score = |(plugin, output, millis, value): (&str, &str, i64, f64)| score(plugin, output, millis, value);
    shop.done(scores.into_iter().fold(create(1), |write, one| write.score(score(one)))).await;
    shop.done(create(2)).await;
    let rows = shop.scan(10, Some(&asked("a", &["y", "z", "x"], 1))).await;
    let of_y = OutputScores { instants: vec![at(1)], known: Some(score(scores[2])) };
    let of_x = OutputScores { instants: vec![at(1), at(3)], known: Some(score(scores[1])) };
    assert_eq!(rows[0].scores, [of_y, OutputScores::default(), of_x]);
    assert_eq!(rows[1].scores, vec![OutputScores::default(); 3]);
    let between = shop.scan(10, Some(&asked("a", &["x"], 2))).await;
    assert_eq!(between[0].scores, [OutputScores { instants: vec![at(1), at(3)], known: None }]);
}

/// Whatever the size of the pages, each customer comes once, in the order of ids.
pub async fn scanned_pages_are_complete_and_keep_to_their_tenant(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let other = shop.neighbour("another");
    assert!(shop.scan(3, None).await.is_empty(), "nobody is there");
    for number in 1..=7 {
        shop.done(create(number)).await;
    }
    other.done(create(4).score(score("a", "x", 1, 1.0))).await;
    let scores = asked("a", &["x"], 1);
    for size in [0, 1, 2, 3, 7, 8] {
        let rows = shop.scan(size, Some(&scores)).await;
        assert!(rows.iter().map(|row| row.customer).eq((1..=7).map(customer)), "pages of {size}");
        assert!(rows.iter().all(|row| row.scores == [OutputScores::default()]));
    }
    assert_eq!(other.scan(10, None).await.len(), 1);
}
