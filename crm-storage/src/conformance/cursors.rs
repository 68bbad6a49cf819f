//! Where the consumers of the feed stand. Stores without a feed have none.

use std::sync::Arc;

use super::concurrency::{THREADS, together};
use super::sample::{create, customer};
use super::shop::Shop;
use super::{Fixture, block_on};
use crate::error::{CursorError, StorageError};
use crate::lane::Lane;
use crate::row::CursorStep::{Look, Move, Rewind, Take};
use crate::row::{CursorStep, FeedCursor};

/// A shop with 5 entries in a lane; none if the store has no feed.
async fn with_entries(fixture: &dyn Fixture) -> Option<(Shop, Lane)> {
    let shop = Shop::open(fixture).await;
    if !shop.has_feed() {
        return None;
    }
    shop.done((0..5).fold(create(1), |write, number| write.event(number))).await;
    let lane = shop.lane(customer(1));
    Some((shop, lane))
}

impl Shop {
    /// A step that the store allows.
    async fn stepped(&self, consumer: &str, lane: Lane, step: CursorStep) -> (u64, u64) {
        let FeedCursor { position, epoch } = self.cursor(consumer, lane, step).await.expect("the cursor moves");
        (position, epoch)
    }

    /// A step that is out of range; the cursor stays where the answer says.
    async fn out_of_range(&self, consumer: &str, lane: Lane, step: CursorStep) -> (u64, u64) {
        let stands = self.stepped(consumer, lane, Look).await;
        match self.cursor(consumer, lane, step).await {
            Err(CursorError::OutOfRange { at, end }) => {
                assert_eq!((at.position, at.epoch), stands);
                assert_eq!(self.stepped(consumer, lane, Look).await, stands);
                (at.position, end)
            }
            other => unreachable!("the step should be out of range: {other:?}"),
        }
    }

    /// A step of somebody who no longer has the cursor; gives the epoch it is in.
    async fn fenced(&self, consumer: &str, lane: Lane, step: CursorStep) -> u64 {
        let stands = self.stepped(consumer, lane, Look).await;
        match self.cursor(consumer, lane, step).await {
            Err(CursorError::Fenced { at }) => {
                assert_eq!((at.position, at.epoch), stands);
                assert_eq!(self.stepped(consumer, lane, Look).await, stands);
                at.epoch
            }
            other => unreachable!("the step should be fenced: {other:?}"),
        }
    }
}

/// It is at 0 until it is moved; looking changes nothing, and taking leaves the position.
pub async fn a_cursor_is_looked_at_taken_and_moved(fixture: &dyn Fixture) {
    let Some((shop, lane)) = with_entries(fixture).await else { return };
    assert_eq!(shop.stepped("mailer", lane, Look).await, (0, 0));
    assert_eq!(shop.stepped("mailer", lane, Look).await, (0, 0));
    assert_eq!(shop.stepped("mailer", lane, Take).await, (0, 1));
    assert_eq!(shop.stepped("mailer", lane, Move { epoch: 1, to: 3 }).await, (3, 1));
    assert_eq!(shop.stepped("mailer", lane, Move { epoch: 1, to: 3 }).await, (3, 1));
    assert_eq!(shop.stepped("mailer", lane, Look).await, (3, 1));
    assert_eq!(shop.stepped("mailer", lane, Take).await, (3, 2));
    assert_eq!(shop.stepped("mailer", lane, Move { epoch: 2, to: 5 }).await, (5, 2));
    assert_eq!(shop.stepped("mailer", lane, Look).await, (5, 2));
}

/// Whoever took it before can move it neither way.
pub async fn whoever_took_a_cursor_before_is_fenced(fixture: &dyn Fixture) {
    let Some((shop, lane)) = with_entries(fixture).await else { return };
    shop.stepped("mailer", lane, Take).await;
    shop.stepped("mailer", lane, Move { epoch: 1, to: 2 }).await;
    shop.stepped("mailer", lane, Take).await;
    for epoch in [0, 1, 3, u64::MAX] {
        assert_eq!(shop.fenced("mailer", lane, Move { epoch, to: 3 }).await, 2);
        assert_eq!(shop.fenced("mailer", lane, Rewind { epoch, to: 1 }).await, 2);
        assert_eq!(shop.fenced("mailer", lane, Move { epoch, to: 99 }).await, 2, "fencing comes before the range");
    }
    assert_eq!(shop.stepped("mailer", lane, Move { epoch: 2, to: 3 }).await, (3, 2));
}

/// It never passes the end of its lane, and goes back only when it is rewound.
pub async fn a_cursor_stays_within_its_lane(fixture: &dyn Fixture) {
    let Some((shop, lane)) = with_entries(fixture).await else { return };
    shop.stepped("mailer", lane, Take).await;
    for to in [6, 99, i64::MAX as u64, u64::MAX] {
        assert_eq!(shop.out_of_range("mailer", lane, Move { epoch: 1, to }).await, (0, 5));
    }
    shop.stepped("mailer", lane, Move { epoch: 1, to: 5 }).await;
    assert_eq!(shop.out_of_range("mailer", lane, Move { epoch: 1, to: 4 }).await, (5, 5));
    assert_eq!(shop.out_of_range("mailer", lane, Rewind { epoch: 1, to: 6 }).await, (5, 5));
    assert_eq!(shop.stepped("mailer", lane, Rewind { epoch: 1, to: 5 }).await, (5, 1));
    assert_eq!(shop.stepped("mailer", lane, Rewind { epoch: 1, to: 2 }).await, (2, 1));
    assert_eq!(shop.out_of_range("mailer", lane, Rewind { epoch: 1, to: 3 }).await, (2, 5));
    assert_eq!(shop.stepped("mailer", lane, Rewind { epoch: 1, to: 0 }).await, (0, 1));
    shop.done(super::sample::update(1, 1).event(9)).await;
    assert_eq!(shop.stepped("mailer", lane, Move { epoch: 1, to: 6 }).await, (6, 1), "the lane has grown");
}

/// Names are compared byte by byte, and each lane has cursors of its own.
pub async fn cursors_are_told_apart_by_consumer_and_lane(fixture: &dyn Fixture) {
    let Some((shop, lane)) = with_entries(fixture).await else { return };
    let long = "c".repeat(255);
    let names =
        ["mailer", "Mailer", "mailer ", "mail", "m\0", "é", "e\u{301}", "店 😀", "'", "%", " ", &long, &long[1..]];
    for (at, name) in names.iter().enumerate() {
        for _ in 0..=at {
            shop.stepped(name, lane, Take).await;
        }
        shop.stepped(name, lane, Move { epoch: at as u64 + 1, to: at as u64 % 6 }).await;
    }
    for (at, name) in names.iter().enumerate() {
        assert_eq!(shop.stepped(name, lane, Look).await, (at as u64 % 6, at as u64 + 1), "{name:?}");
    }
    for other in shop.lanes().filter(|other| *other != lane).take(4) {
        assert_eq!(shop.stepped("mailer", other, Look).await, (0, 0));
        assert_eq!(shop.stepped("mailer", other, Take).await, (0, 1));
        assert_eq!(shop.stepped("mailer", other, Take).await, (0, 2));
        assert_eq!(shop.out_of_range("mailer", other, Move { epoch: 2, to: 1 }).await, (0, 0));
    }
    assert_eq!(shop.stepped("mailer", lane, Look).await, (0, 1));
}

/// A name has 1 to 255 bytes.
pub async fn a_consumer_has_a_name_of_a_certain_length(fixture: &dyn Fixture) {
    let Some((shop, lane)) = with_entries(fixture).await else { return };
    for name in ["", &"c".repeat(256), &"é".repeat(128)] {
        for step in [Look, Take, Move { epoch: 0, to: 0 }] {
            let answer = shop.cursor(name, lane, step).await;
            assert!(matches!(answer, Err(CursorError::Storage(StorageError::Malformed { .. }))), "{answer:?}");
        }
    }
}

/// Of 16 who take a cursor at once, each has another epoch; of those who then move it, the last taker alone
/// succeeds.
pub async fn of_many_who_take_a_cursor_the_last_has_it(fixture: &dyn Fixture) {
    let Some((shop, lane)) = with_entries(fixture).await else { return };
    let shop = Arc::new(shop);
    let mut epochs = together(|_| block_on(shop.stepped("mailer", lane, Take)).1);
    let moved = together(|thread| {
        let step = Move { epoch: epochs[thread as usize], to: 1 + thread % 5 };
        block_on(shop.cursor("mailer", lane, step)).is_ok().then_some((1 + thread % 5, epochs[thread as usize]))
    });
    let moved: Vec<(u64, u64)> = moved.into_iter().flatten().collect();
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert_eq!(moved[0].1, THREADS);
    assert_eq!(shop.stepped("mailer", lane, Look).await, moved[0]);
    epochs.sort_unstable();
    assert_eq!(epochs, (1..=THREADS).collect::<Vec<_>>());
}
