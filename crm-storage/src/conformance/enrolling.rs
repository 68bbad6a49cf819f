//! Adding many customers to a set at once.

use crm_core::AlarmKind::Lifecycle;
use crm_core::Column;
use crm_core::expression::Comparison;

use super::Fixture;
use super::sample::{alarm, change, create, customer, tag, update, with_details};
use super::shop::Shop;
use crate::commit::{Commit, Version};
use crate::enrol::{Enrolled, Enrolment};
use crate::error::{CommitError, StorageError};
use crate::lane::Lane;
use crate::row::Entries;
use crate::selection::Selection;

/// Everybody with at least two orders is to be in a set, and is told change 7.
fn enrolment() -> Enrolment {
    let selection = Selection::Compare(Column::Orders, Comparison::Ge, 2);
    Enrolment { selection, set: tag("regular"), change: change(7) }
}

async fn enrol(shop: &Shop, enrolment: &Enrolment, after: Option<u64>, limit: usize) -> Enrolled {
    let after = after.map(customer);
    shop.store.enrol(&shop.tenant, enrolment, after, limit).await.expect("the store enrols")
}

/// 20 customers: the one with number n has n % 4 orders, and those with an even number are in a set.
async fn crowd(shop: &Shop) {
    for number in 0..20 {
        let mut write = create(number).column(Column::Orders, number as i64 % 4).event(number).change(1);
        if number % 2 == 0 {
            write = write.set(tag("zebra")).set(tag("ant"));
        }
        shop.done(write).await;
    }
}

fn meant() -> Vec<u64> {
    (0..20).filter(|number| number % 4 >= 2).collect()
}

/// Whoever is meant is in the set and was told, at a version that is one higher; nothing else of them moved, and
/// nothing at all of anybody else.
pub async fn whoever_is_meant_is_added_and_told(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    crowd(&shop).await;
    let full = with_details(update(3, 1)).alarm(None, Some(alarm(10, Lifecycle)));
    shop.done(full).await;
    shop.done(update(6, 1).column(Column::Orders, 2).set(tag("regular"))).await;
    let before = shop.kept(9).await;
    let added: Vec<u64> = meant().into_iter().filter(|number| *number != 6).collect();
    assert_eq!(enrol(&shop, &enrolment(), None, 100).await, Enrolled { customers: added.len() as u64, next: None });
    let mut expected = before.clone();
    for number in &added {
        let place = *number as usize;
        let row = &mut expected.customers[place];
        row.version = Version(row.version.0 + 1);
        for sets in [&mut row.sets, &mut expected.details[place].traits.sets] {
            sets.push(tag("regular"));
            sets.sort_unstable();
        }
        expected.changes[place].push(change(7));
        expected.history[place].push(crate::row::Entry::Change(change(7)));
    }
    assert_eq!(shop.kept(9).await, expected);
    assert_eq!(shop.count(&Selection::In(tag("regular"))).await, meant().len() as u64);
    assert_eq!(shop.count(&Selection::In(tag("zebra"))).await, before_count(&before, "zebra"));
    assert_eq!(enrol(&shop, &enrolment(), None, 100).await, Enrolled { customers: 0, next: None });
    assert_eq!(shop.kept(9).await, expected);
}

fn before_count(seen: &super::shop::Seen, set: &str) -> u64 {
    seen.details.iter().filter(|details| details.traits.sets.contains(&tag(set))).count() as u64
}

/// Pages of any size add everybody once, in the order of their ids, and can be begun anew at any time.
pub async fn enrolled_pages_are_complete(fixture: &dyn Fixture) {
    let first = Shop::open(fixture).await;
    for limit in [0, 1, 3, 10, 11] {
        let shop = first.neighbour(&format!("by-{limit}"));
        crowd(&shop).await;
        let (mut after, mut added, mut pages) = (None, 0, 0);
        loop {
            let page = shop.store.enrol(&shop.tenant, &enrolment(), after, limit).await.expect("the store enrols");
            added += page.customers;
            pages += 1;
            assert!(page.customers <= limit.max(1) as u64, "a page has at most as many as were asked for");
            let so_far: Vec<_> = meant().into_iter().take(added as usize).map(customer).collect();
            assert_eq!(shop.select(&Selection::In(tag("regular")), None, 100).await, so_far);
            if pages == 2 {
                // Whoever begins anew finds nobody twice.
                let again = enrol(&shop, &enrolment(), None, 1).await;
                added += again.customers;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(added, meant().len() as u64);
        for number in 0..20 {
            let told = shop.history(customer(number), Entries::Changes, 9).await.len();
            assert_eq!(told, 1 + usize::from(meant().contains(&number)), "{number}");
        }
    }
}

/// A write that was decided before is refused, and one that was decided after says which sets there are.
pub async fn a_write_decided_before_an_enrolment_is_refused(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    crowd(&shop).await;
    enrol(&shop, &enrolment(), None, 100).await;
    let stale = shop.commit(update(2, 1)).await;
    assert_eq!(stale, Err(CommitError::Conflict { customer: customer(2), actual: Some(Version(2)) }));
    assert!(shop.commit(update(1, 1)).await.is_ok(), "nobody but whom was meant");
    shop.done(update(2, 2).column(Column::Orders, 2).set(tag("ant"))).await;
    let row = shop.load_one(customer(2)).await.expect("they are there");
    assert_eq!(row.sets, [tag("ant")]);
    assert_eq!(enrol(&shop, &enrolment(), None, 100).await.customers, 1);
}

/// Another tenant's customers of the same ids are left alone.
pub async fn an_enrolment_keeps_to_its_tenant(fixture: &dyn Fixture) {
    let a = Shop::open(fixture).await;
    let b = a.neighbour("other");
    crowd(&a).await;
    crowd(&b).await;
    let before = b.kept(9).await;
    enrol(&a, &enrolment(), None, 100).await;
    assert_eq!(b.kept(9).await, before);
    let nobody = a.neighbour("nobody");
    assert_eq!(enrol(&nobody, &enrolment(), None, 100).await, Enrolled { customers: 0, next: None });
}

/// The feed tells each who was added, once, and its positions have no gaps.
pub async fn the_feed_tells_who_was_enrolled(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    if !shop.has_feed() {
        return;
    }
    crowd(&shop).await;
    enrol(&shop, &enrolment(), None, 3).await;
    shop.done(update(0, 1).event(900)).await;
    enrol(&shop, &enrolment(), None, 100).await;
    let mut told = Vec::new();
    for lane in 0..shop.store.capabilities().lanes {
        let rows = shop.whole_lane(Lane(lane), 7).await;
        assert!(rows.iter().zip(1..).all(|(row, position)| row.position == position), "positions have no gaps");
        let of_it = rows.into_iter().filter(|row| row.entry == crate::row::Entry::Change(change(7)));
        told.extend(of_it.map(|row| row.customer));
    }
    told.sort_unstable();
    assert_eq!(told, meant().into_iter().map(customer).collect::<Vec<_>>());
}

/// Of an enrolment with a malformed selection nobody is added.
pub async fn a_malformed_enrolment_is_refused(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    crowd(&shop).await;
    let before = shop.kept(9).await;
    let too_many = Selection::Any(vec![Selection::EVERYBODY; Selection::CLAUSES_MAX + 1]);
    let malformed = Enrolment { selection: too_many, ..enrolment() };
    let refused = shop.store.enrol(&shop.tenant, &malformed, None, 10).await;
    assert!(matches!(refused, Err(StorageError::Malformed { .. })), "{refused:?}");
    assert_eq!(shop.kept(9).await, before);
}

/// Enrolments and writes at one time: everybody meant is in the set once, and no write is lost.
pub async fn enrolments_and_writes_at_once_lose_nothing(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    crowd(&shop).await;
    let enrolment = enrolment();
    let enrolling = async {
        let mut after = None;
        loop {
            let page = shop.store.enrol(&shop.tenant, &enrolment, after, 2).await.expect("the store enrols");
            after = page.next;
            if after.is_none() {
                return;
            }
        }
    };
    let writing = async {
        for number in meant() {
            loop {
                let row = shop.load_one(customer(number)).await.expect("they are there");
                let mut write = update(number, row.version.0).column(Column::Orders, 3).event(1000 + number);
                write.traits.sets = row.sets;
                match shop.commit(Commit::from(write)).await {
                    Ok(_) => break,
                    Err(CommitError::Conflict { .. }) => {}
                    Err(other) => unreachable!("{other:?}"),
                }
            }
        }
    };
    let mut both = std::pin::pin!(enrolling);
    let mut writing = std::pin::pin!(writing);
    let (mut enrolled, mut written) = (false, false);
    std::future::poll_fn(|context| {
        enrolled = enrolled || both.as_mut().poll(context).is_ready();
        written = written || writing.as_mut().poll(context).is_ready();
        if enrolled && written { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    for number in meant() {
        assert_eq!(shop.events(customer(number), 9).await.len(), 2, "{number}");
        let told = shop.changes(customer(number), 9).await;
        assert_eq!(told.iter().filter(|told| **told == change(7)).count(), 1, "{number}");
    }
    assert_eq!(shop.count(&Selection::In(tag("regular"))).await, meant().len() as u64);
}
