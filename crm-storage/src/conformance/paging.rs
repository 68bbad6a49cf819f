//! Lists that are read page by page: histories, changes, customers.

use super::Fixture;
use super::sample::{change, create, customer, event, touch, update};
use super::shop::{Shop, changes_of, events_of};
use crate::commit::{Commit, CustomerWrite};
use crate::error::CommitError;
use crate::row::{Cursor, Entries, Entry};
use crate::selection::Selection;

/// Histories and changes come in the order of commits, whatever the size of the page.
pub async fn pages_have_the_order_in_which_rows_were_committed(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1).event(50).event(3).change(9)).await;
    shop.done(create(2).event(7).change(7)).await;
    shop.done(update(1, 1).event(1).event(99).event(2).change(1).change(5)).await;
    let events = [50, 3, 1, 99, 2].map(event);
    let changes = [9, 1, 5].map(change);
    for page_size in [0, 1, 2, 3, 4, 5, 6, 1000, usize::MAX] {
        assert_eq!(shop.events(customer(1), page_size).await, events, "pages of {page_size}");
        assert_eq!(shop.changes(customer(1), page_size).await, changes, "pages of {page_size}");
    }
    assert_eq!(shop.events(customer(2), 10).await, [event(7)]);
    assert_eq!(shop.changes(customer(2), 10).await, [change(7)]);
}

/// The last page says that it is the last.
pub async fn the_last_page_has_no_next(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1).event(1).event(2).change(1).change(2)).await;
    for (entries, rows) in [(Entries::Events, 2), (Entries::Changes, 2), (Entries::All, 4)] {
        let page = shop.page(customer(1), entries, None, rows).await;
        assert_eq!((page.rows.len(), page.next), (rows, None));
    }
}

/// Nobody's history is empty; so is what comes after a place that is nowhere.
pub async fn absent_histories_are_empty(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1)).await;
    assert!(shop.events(customer(1), 5).await.is_empty());
    assert!(shop.changes(customer(1), 5).await.is_empty());
    assert!(shop.events(customer(2), 5).await.is_empty());
    assert!(shop.changes(customer(2), 5).await.is_empty());
    let nowhere = Some(Cursor(u64::MAX));
    let page = shop.page(customer(1), Entries::All, nowhere, 5).await;
    assert_eq!((page.rows.len(), page.next), (0, None));
}

/// Between two pages others write, and no row is skipped or seen twice.
pub async fn pages_are_stable_under_writes(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done((0..20).fold(create(1), |write, number| write.event(number).change(number))).await;
    let (mut events, mut changes) = (Vec::new(), Vec::new());
    let (mut after_events, mut after_changes) = (None, None);
    for version in 1..=20 {
        let page = shop.page(customer(1), Entries::Events, after_events, 2).await;
        events.extend(events_of(page.rows));
        after_events = page.next;
        let page = shop.page(customer(1), Entries::Changes, after_changes, 2).await;
        changes.extend(changes_of(page.rows));
        after_changes = page.next;
        let late = 100 - version;
        shop.done(update(1, version).event(late).change(late)).await;
        shop.done(create(1000 + version).event(late).change(late)).await;
        if after_events.is_none() {
            break;
        }
    }
    let so_far = (0..20).chain((80..100).rev()).map(event).collect::<Vec<_>>();
    assert_eq!(events, so_far[..events.len()]);
    assert!(events.len() > 20);
    assert_eq!(changes, (0..20).chain((80..100).rev()).map(change).take(changes.len()).collect::<Vec<_>>());
}

/// Customers come by id, after the one that is named, whether it is there or not.
pub async fn customers_are_listed_by_id(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    for number in [5, 1, 9, 3, 7] {
        shop.done(create(number)).await;
    }
    let listed = async |after: Option<u64>, limit| shop.select(&Selection::EVERYBODY, after.map(customer), limit).await;
    assert_eq!(listed(None, 100).await, [1, 3, 5, 7, 9].map(customer));
    assert_eq!(listed(None, 2).await, [1, 3].map(customer));
    assert_eq!(listed(Some(3), 2).await, [5, 7].map(customer));
    assert_eq!(listed(Some(4), 0).await, [customer(5)], "at least one");
    assert!(listed(Some(9), 10).await.is_empty());
    shop.commits([2, 4, 10].into_iter().map(create).map(Commit::from).collect()).await;
    assert_eq!(listed(Some(3), usize::MAX).await, [4, 5, 7, 9, 10].map(customer));
}

/// All entries come as they were committed: of one write, its events before its changes.
pub async fn a_whole_history_has_events_before_changes_of_each_write(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1).change(9).event(50).event(3)).await;
    shop.done(touch(1, 1).change(4).change(2)).await;
    shop.commits(vec![update(1, 1).event(1).change(1).into(), update(1, 2).event(99).into()]).await;
    shop.done(create(2).event(7).change(7)).await;
    let (e, c) = (|number| Entry::Event(event(number)), |number| Entry::Change(change(number)));
    let expected = [e(50), e(3), c(9), c(4), c(2), e(1), c(1), e(99)];
    for page_size in [0, 1, 2, 3, 4, 5, 7, 8, 9, 1000, usize::MAX] {
        assert_eq!(shop.history(customer(1), Entries::All, page_size).await, expected, "pages of {page_size}");
    }
    assert_eq!(shop.history(customer(2), Entries::All, 1).await, [e(7), c(7)]);
    // A page goes on with what was appended after it was read.
    let page = shop.page(customer(1), Entries::All, None, 7).await;
    shop.done(update(1, 3).event(60).change(61)).await;
    assert_eq!(shop.page(customer(1), Entries::All, page.next, 9).await.rows, [e(99), e(60), c(61)]);
}

/// A history that is written anew comes as it was: each change behind as many of the events as was said.
pub async fn changes_stand_where_they_are_put_among_the_events(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let (e, c) = (|number| Entry::Event(event(number)), |number| Entry::Change(change(number)));
    let placed = |write: CustomerWrite, changes_after: &[u32]| {
        Commit::from(CustomerWrite { changes_after: changes_after.to_vec(), ..write })
    };
    let whole = || create(1).event(1).event(2).event(3).change(1).change(2).change(3).change(4);
    for wrong in [&[0, 1, 2][..], &[0, 0, 0, 0, 0], &[1, 0, 2, 3], &[0, 1, 2, 4]] {
        let refusal = shop.commit(placed(whole(), wrong)).await;
        assert!(matches!(refusal, Err(CommitError::Malformed { .. })), "{wrong:?}: {refusal:?}");
    }
    shop.done(placed(whole(), &[0, 1, 1, 3])).await;
    // A refusal takes changes out again that were written between events.
    let taken = update(1, 1).event(4).event(2).change(9).change(8);
    let refusal = shop.commit(placed(taken, &[0, 1])).await;
    assert!(matches!(refusal, Err(CommitError::EventExists { .. })), "{refusal:?}");
    shop.done(placed(update(1, 1).event(5).event(6).change(5), &[1])).await;
    let expected = [c(1), e(1), c(2), c(3), e(2), e(3), c(4), e(5), c(5), e(6)];
    for page_size in [1, 3, usize::MAX] {
        assert_eq!(shop.history(customer(1), Entries::All, page_size).await, expected, "pages of {page_size}");
    }
    shop.done(placed(create(2).change(7).change(8), &[0, 0])).await;
    assert_eq!(shop.history(customer(2), Entries::All, 9).await, [c(7), c(8)]);
}

/// Of several customers of two tenants, events, changes and both are read by turns, a page of each, while entries
/// are appended; each comes whole and in order.
pub async fn histories_that_are_read_at_one_time_do_not_mix(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let neighbour = shop.neighbour("next door");
    for shop in [&shop, &neighbour] {
        for number in [1, 2, 3] {
            let first = if shop.tenant == neighbour.tenant { 1_000 } else { 0 };
            let write = (0..40).fold(create(number), |write, at| write.event(first + 100 * number + at).change(at));
            shop.done(write).await;
        }
    }
    let kinds = [Entries::All, Entries::Events, Entries::Changes];
    let mut readings = Vec::new();
    for shop in [&shop, &neighbour] {
        for number in [1, 2, 3] {
            readings.extend(kinds.map(|entries| (shop, customer(number), entries, None, Vec::new(), false)));
        }
    }
    let mut appended = 0;
    while readings.iter().any(|(.., done)| !done) {
        for (shop, customer, entries, after, rows, done) in readings.iter_mut().filter(|(.., done)| !done) {
            let page = shop.page(*customer, *entries, *after, 3).await;
            rows.extend(page.rows);
            (*after, *done) = (page.next, page.next.is_none());
        }
        if appended < 10 {
            appended += 1;
            shop.done(update(1, appended).event(900 + appended).change(900 + appended)).await;
            neighbour.done(update(3, appended).event(900 + appended).change(900 + appended)).await;
        }
    }
    for (shop, customer, entries, _, rows, _) in readings {
        assert_eq!(rows, shop.history(customer, entries, usize::MAX).await, "{entries:?} of {customer}");
        assert!(rows.len() >= 40);
    }
}
