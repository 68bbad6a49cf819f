//! What will be due.

use crm_core::AlarmKind::{FactDue, Lifecycle, Loyalty, Segment};
use crm_core::Timestamp;

use super::Fixture;
use super::sample::{alarm, at, create, due, update};
use super::shop::Shop;
use crate::commit::Commit;

/// By instant, then by kind, then by customer.
pub async fn alarms_come_in_the_order_of_instant_kind_and_customer(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let mut alarms = vec![
        due(20, FactDue, 1),
        due(10, Segment, 2),
        due(10, FactDue, 9),
        due(10, Lifecycle, 3),
        due(10, Loyalty, 8),
        due(10, Lifecycle, 4),
        due(-5, Segment, 7),
        due(30, FactDue, 5),
    ];
    let numbers = [1, 2, 9, 3, 8, 4, 7, 5];
    for (alarm, number) in alarms.iter().zip(numbers) {
        shop.done(create(number).alarm(None, Some(alarm.alarm))).await;
    }
    alarms.sort();
    assert_eq!(shop.due(Timestamp::MAX, usize::MAX).await, alarms);
    assert_eq!(shop.due(at(20), 100).await, alarms[..7], "an alarm at the instant itself is due");
    assert_eq!(shop.due(at(19), 100).await, alarms[..6]);
    assert_eq!(shop.due(at(20), 3).await, alarms[..3]);
    assert!(shop.due(at(20), 0).await.is_empty());
    assert!(shop.due(at(-6), 100).await.is_empty());
}

/// Moving it takes the old one away, also within one instant.
pub async fn an_alarm_that_is_moved_is_due_once(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1).alarm(None, Some(alarm(10, Lifecycle)))).await;
    shop.done(create(2).alarm(None, Some(alarm(10, Lifecycle)))).await;
    shop.done(update(1, 1).alarm(Some(alarm(10, Lifecycle)), Some(alarm(30, FactDue)))).await;
    assert_eq!(shop.due(at(30), 10).await, [due(10, Lifecycle, 2), due(30, FactDue, 1)]);
    shop.done(update(1, 2).alarm(Some(alarm(30, FactDue)), Some(alarm(30, Segment)))).await;
    shop.done(update(2, 1).alarm(Some(alarm(10, Lifecycle)), Some(alarm(10, Lifecycle)))).await;
    assert_eq!(shop.due(at(30), 10).await, [due(10, Lifecycle, 2), due(30, Segment, 1)]);
}

/// One that is cleared is gone; a write that says nothing of it leaves it.
pub async fn an_alarm_that_is_cleared_is_gone(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1).alarm(None, Some(alarm(10, Lifecycle)))).await;
    shop.done(update(1, 1)).await;
    assert_eq!(shop.due(at(10), 10).await, [due(10, Lifecycle, 1)]);
    shop.done(update(1, 2).alarm(Some(alarm(10, Lifecycle)), None)).await;
    assert!(shop.due(Timestamp::MAX, 10).await.is_empty());
    shop.done(update(1, 3).alarm(None, None)).await;
    assert!(shop.due(Timestamp::MAX, 10).await.is_empty());
    shop.done(Commit::from(update(1, 4).alarm(None, Some(alarm(5, Segment))))).await;
    assert_eq!(shop.due(at(5), 10).await, [due(5, Segment, 1)]);
}
