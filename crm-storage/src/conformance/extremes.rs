//! The largest and the strangest that the contract allows.

use crm_core::{AlarmKind, CustomerId, Timestamp};
use uuid::Uuid;

use super::Fixture;
use super::sample::{at, create, customer, entry, event, state, update};
use super::shop::Shop;
use crate::commit::{Commit, Committed, CustomerWrite, Expected, Version};
use crate::row::{ChangeRow, EventRow};
use crate::selection::Selection;

/// One event of a megabyte, and a state and an answer of that size.
pub async fn a_body_of_a_megabyte_comes_back_whole(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let big: Vec<u8> = (0..1_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut write = create(1);
    write.events.push(EventRow { body: big.clone(), ..event(1) });
    write.changes.push(ChangeRow { at: at(0), kind: "big".into(), body: big.clone() });
    write.state.iter_mut().for_each(|state| state.bytes.clone_from(&big));
    shop.done(write).await;
    let seen = shop.seen().await;
    assert!(seen.events[0][0].body == big && seen.changes[0][0].body == big && seen.customers[0].state.bytes == big);
}

/// 10,000 events in one commit, read in pages.
pub async fn ten_thousand_events_fit_in_one_commit(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done((0..10_000).fold(create(1), CustomerWrite::event)).await;
    let events = shop.events(customer(1), 999).await;
    assert!(events.len() == 10_000 && events.iter().zip(0..).all(|(row, number)| *row == event(number)));
    let repeat = (10_000..20_000).chain([9_999]).fold(update(1, 1), CustomerWrite::event);
    assert!(shop.commit(repeat).await.is_err());
    assert_eq!(shop.events(customer(1), usize::MAX).await.len(), 10_000);
}

/// 1,000 customers in one commit, and 1,500 commits in one call.
pub async fn large_commits_and_long_lists_of_them_are_applied(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let writes = (0..1000).map(|number| create(number).event(number)).collect();
    let outbox = (0..1000).map(|number| entry(number, 0)).collect();
    assert_eq!(shop.done(Commit { writes, outbox, ..Commit::default() }).await, vec![Version(1); 1000]);
    let answers = shop.commits((0..1500).map(|number| update(number % 500, 1 + number / 500).into()).collect()).await;
    for (answer, number) in answers.into_iter().zip(0..) {
        assert_eq!(answer, Ok(Committed::Done { versions: vec![Version(2 + number / 500)] }));
    }
    assert_eq!(shop.customers().await.len(), 1000);
    assert_eq!(shop.lease(0, 1000, usize::MAX).await.len(), 1000);
}

/// The first and the last instant there is, everywhere a time is kept.
pub async fn the_first_and_the_last_instant_are_kept(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let mut told = Vec::new();
    for (number, instant) in [Timestamp::MIN, at(-1), at(0), at(1), Timestamp::MAX].into_iter().enumerate() {
        let number = number as u64;
        let mut write = create(number);
        write.events.push(EventRow { at: instant, recorded_at: instant, ..event(number) });
        write.changes.push(ChangeRow { at: instant, kind: "k".into(), body: Vec::new() });
        write.scores.push(super::sample::score("p", "o", instant.as_millis(), 1.0));
        write = write.alarm(None, Some(crm_core::Alarm { due_at: instant, kind: AlarmKind::FactDue }));
        told.push(entry(number, instant.as_millis()));
        let commit = Commit { outbox: vec![entry(number, instant.as_millis())], ..write.clone().into() };
        shop.done(commit).await;
        assert_eq!(shop.events(write.customer, 9).await, write.events);
        assert_eq!(shop.changes(write.customer, 9).await, write.changes);
        assert_eq!(shop.scores(write.customer).await, write.scores);
    }
    let due = shop.due(Timestamp::MAX, 9).await;
    assert!(due.len() == 5 && due.is_sorted());
    assert_eq!(shop.due(Timestamp::MIN, 9).await, due[..1]);
    assert_eq!(shop.lease(Timestamp::MIN.as_millis(), 0, 9).await.len(), 1);
    let leased = shop.lease(Timestamp::MAX.as_millis(), u64::MAX, 9).await;
    assert_eq!(leased.into_iter().map(|leased| leased.entry).collect::<Vec<_>>(), told);
}

/// The lowest and the highest id, and others that a careless comparison would confuse.
pub async fn any_uuid_can_be_a_customer(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let ids = [0, 1, 255, 256, 1 << 63, 1 << 64, i128::MAX as u128, 1 << 127, u128::MAX];
    let ids = ids.map(|id| CustomerId::from_uuid(Uuid::from_u128(id)));
    for (number, &id) in ids.iter().enumerate().rev() {
        shop.done(CustomerWrite::new(id, Expected::New, state(number as u64))).await;
    }
    assert_eq!(shop.customers().await.iter().map(|row| row.customer).collect::<Vec<_>>(), ids);
    for pair in ids.windows(2) {
        assert_eq!(shop.select(&Selection::EVERYBODY, Some(pair[0]), 1).await, [pair[1]]);
    }
}
