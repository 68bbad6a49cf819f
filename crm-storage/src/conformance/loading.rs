//! Loading customers: order, absence, and what is seen.

use crm_core::{EventId, SmolStr, Span, Timestamp};

use super::Fixture;
use super::sample::{at, change, create, customer, event, key, score, state, update};
use super::shop::Shop;
use crate::commit::{Commit, Version};
use crate::row::{CustomerRow, EventRow, Settlement, StateRow, Verdict};

/// Rows come in the order of the ids, once for each time an id is given.
pub async fn customers_come_in_the_order_asked_for(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    for number in [1, 2, 3] {
        shop.done(create(number)).await;
    }
    let row = |number| {
        let (version, sets) = (Version(1), Vec::new());
        Some(CustomerRow { customer: customer(number), version, state: state(number), sets })
    };
    let rows = shop.load(&[customer(3), customer(9), customer(1), customer(3)]).await;
    assert_eq!(rows, [row(3), None, row(1), row(3)]);
    assert!(shop.load(&[]).await.is_empty());
}

/// What was acknowledged is what is loaded next.
pub async fn a_load_sees_the_latest_acknowledged_state(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1)).await;
    for version in 1..50 {
        shop.done(update(1, version)).await;
        let row = shop.load_one(customer(1)).await.expect("the customer is there");
        assert_eq!((row.version, row.state), (Version(version + 1), state(1 + version)));
    }
}

/// No method fails for a tenant of which nothing was ever written, and none makes one up.
pub async fn an_unknown_tenant_is_empty(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let (store, tenant) = (&shop.store, &shop.tenant);
    let seen = shop.seen().await;
    assert!(seen.customers.is_empty() && seen.due.is_empty() && seen.outbox.is_empty() && seen.definitions.is_empty());
    assert_eq!(store.load(tenant, &[customer(1)]).await.expect("the store loads").definitions, 0);
    assert_eq!(shop.load(&[customer(1), customer(2)]).await, [None, None]);
    assert!(shop.events(customer(1), 10).await.is_empty());
    assert!(shop.changes(customer(1), 10).await.is_empty());
    assert!(shop.scores(customer(1)).await.is_empty());
    assert_eq!(shop.resolve(&[key("order", "1")]).await, [None]);
    assert_eq!(shop.counter("coupon").await, 0);
    let stray = Settlement { id: event(1).id, token: crate::row::LeaseToken(1), verdict: Verdict::Done };
    assert_eq!(store.settle(tenant, &[stray]).await.expect("the store settles"), [false]);
    assert!(store.lease(tenant, Timestamp::MAX, Span::days(1), 10).await.expect("the store leases").is_empty());
}

/// Every field survives, also where it is absent, empty, or looks like something else.
pub async fn rows_come_back_as_they_were_written(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let bare = EventRow {
        id: EventId::from_uuid(uuid::Uuid::nil()),
        source: None,
        cause: Some(event(1).id),
        kind: SmolStr::new("k\0nd of a shop's own, 店 😀"),
        shape: u16::MAX,
        body: Vec::new(),
        ..event(2)
    };
    let odd = EventRow { body: vec![0, 255, 0, 128], kind: SmolStr::new(""), ..event(3) };
    let mut write = create(1).change(1).score(score("rfm", "total", 5, 0.1));
    write.state = Some(StateRow { shape: u16::MAX, bytes: Vec::new() });
    write.events = vec![event(1), bare, odd];
    write.changes.push(crate::row::ChangeRow { at: at(-1), kind: SmolStr::new("x".repeat(300)), body: vec![0; 3] });
    shop.done(write.clone()).await;
    let seen = shop.seen().await;
    assert_eq!(Some(&seen.customers[0].state), write.state.as_ref());
    assert_eq!(seen.events, [write.events]);
    assert_eq!(seen.changes, [write.changes]);
    assert_eq!(seen.details[0].scores, write.scores);
}

/// Changes and events of one customer do not mix.
pub async fn events_and_changes_are_two_lists(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1).event(1).change(2).change(3)).await;
    shop.done(Commit::from(update(1, 1).event(4).change(5))).await;
    assert_eq!(shop.events(customer(1), 10).await, [event(1), event(4)]);
    assert_eq!(shop.changes(customer(1), 10).await, [change(2), change(3), change(5)]);
}
