//! What is personal about a customer, and what else is kept beside the state.

use super::Fixture;
use super::sample::{create, customer, entry, fields, request, score, tag, token, tokens, touch, update, with_details};
use super::shop::Shop;
use crate::commit::{Commit, OutboxEntry, PersonalMove};
use crate::error::CommitError;
use crate::row::{Details, Parts, Verdict};
use crate::selection::Selection;

async fn personal(shop: &Shop, number: u64) -> Details {
    shop.details(customer(number), Parts::PERSONAL).await
}

fn key(bytes: &[u8]) -> PersonalMove {
    PersonalMove { key: Some(bytes.to_vec()), ..PersonalMove::default() }
}

/// Fields come by name, byte by byte. What a write does not name stays as it is.
pub async fn personal_fields_are_put_replaced_and_taken_out(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let written = [("name", Some(&b"Ann"[..])), ("Name", Some(b"\0\xff")), ("", Some(b"")), ("n\0 店", Some(b"x"))];
    shop.done(create(1).personal(fields(written))).await;
    shop.done(create(2).personal(fields([("name", Some(b"Bob"))]))).await;
    let expect = async |expected: &[(&str, &[u8])]| {
        let actual = personal(&shop, 1).await.personal;
        let actual: Vec<(&str, &[u8])> = actual.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
        assert_eq!(actual, expected);
    };
    expect(&[("", b""), ("Name", b"\0\xff"), ("n\0 店", b"x"), ("name", b"Ann")]).await;
    shop.done(update(1, 1)).await;
    shop.done(update(1, 2).personal(PersonalMove::default())).await;
    expect(&[("", b""), ("Name", b"\0\xff"), ("n\0 店", b"x"), ("name", b"Ann")]).await;
    shop.done(update(1, 3).personal(fields([("name", Some(b"Anna")), ("Name", None), ("mail", None)]))).await;
    expect(&[("", b""), ("n\0 店", b"x"), ("name", b"Anna")]).await;
    shop.done(update(1, 4).personal(fields([("", None), ("n\0 店", None), ("name", None)]))).await;
    expect(&[]).await;
    shop.done(update(1, 5).personal(fields([("Name", Some(b"back"))]))).await;
    expect(&[("Name", b"back")]).await;
    assert_eq!(personal(&shop, 2).await.personal, [("name".into(), b"Bob".to_vec())]);
}

/// The key that values are sealed under stays until another is written.
pub async fn a_person_key_stays_until_it_is_replaced(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1).personal(fields([("name", Some(b"Ann"))]))).await;
    assert_eq!(personal(&shop, 1).await.key, None);
    shop.done(update(1, 1).personal(key(b"first\0\xff"))).await;
    shop.done(update(1, 2).personal(fields([("name", None)]))).await;
    shop.done(update(1, 3).personal(tokens([1]))).await;
    shop.done(update(1, 4)).await;
    assert_eq!(personal(&shop, 1).await.key.as_deref(), Some(&b"first\0\xff"[..]));
    shop.done(update(1, 5).personal(key(b"second"))).await;
    assert_eq!(personal(&shop, 1).await.key.as_deref(), Some(&b"second"[..]));
    shop.done(update(1, 6).personal(key(b""))).await;
    assert_eq!(personal(&shop, 1).await.key.as_deref(), Some(&b""[..]), "an empty key is a key");
}

/// A list of tokens takes the place of the one before; without one they stay.
pub async fn tokens_are_replaced_as_a_whole(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let can_be_found = async |expected: &[u64]| {
        for number in 0..6 {
            let found = shop.found(token(number)).await;
            let wanted = if expected.contains(&number) { vec![customer(1)] } else { vec![] };
            assert_eq!(found, wanted, "token {number}");
        }
        assert_eq!(personal(&shop, 1).await.tokens, expected.len() as u64);
    };
    shop.done(create(1).personal(tokens([1, 2, 3]))).await;
    can_be_found(&[1, 2, 3]).await;
    shop.done(update(1, 1)).await;
    shop.done(update(1, 2).personal(fields([("name", Some(b"Ann"))]))).await;
    shop.done(touch(1, 3).score(score("p", "o", 1, 1.0))).await;
    can_be_found(&[1, 2, 3]).await;
    shop.done(update(1, 3).personal(tokens([3, 4]))).await;
    can_be_found(&[3, 4]).await;
    shop.done(update(1, 4).personal(tokens([5, 5, 3]))).await;
    can_be_found(&[3, 5]).await;
    shop.done(update(1, 5).personal(tokens([]))).await;
    can_be_found(&[]).await;
}

/// Everybody with the token is found, in the order of their ids, and it combines with other clauses.
pub async fn customers_are_found_by_their_tokens(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    for number in [5, 3, 9, 1] {
        shop.done(create(number).personal(tokens([number % 2, 7, 100 + number]))).await;
    }
    shop.done(create(4).set(tag("vip")).personal(tokens([7]))).await;
    shop.done(create(2)).await;
    assert_eq!(shop.found(token(7)).await, [1, 3, 4, 5, 9].map(customer));
    assert_eq!(shop.found(token(103)).await, [customer(3)]);
    assert!(shop.found(token(104)).await.is_empty());
    let found = |number| Selection::Found(token(number));
    let both = Selection::All(vec![found(7), found(1)]);
    assert_eq!(shop.select(&both, Some(customer(1)), 2).await, [3, 5].map(customer));
    let not = Selection::Not(Box::new(found(1)));
    assert_eq!(shop.select(&not, None, 9).await, [2, 4].map(customer));
    let vip = Selection::All(vec![Selection::In(tag("vip")), found(7)]);
    assert_eq!((shop.select(&vip, None, 9).await, shop.count(&vip).await), (vec![customer(4)], 1));
}

/// Personal rows go with a state, and a field comes once.
pub async fn a_malformed_personal_move_is_refused(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1).personal(fields([("name", Some(b"Ann"))]))).await;
    let before = shop.seen().await;
    for write in [
        touch(1, 1).personal(fields([("name", None)])),
        touch(1, 1).personal(PersonalMove::default()),
        touch(1, 1).personal(tokens([1])),
        update(1, 1).personal(fields([("name", None), ("mail", None), ("name", Some(b"Bob"))])),
        update(1, 1).set(tag("vip")).set(tag("vip")),
    ] {
        assert!(matches!(shop.commit(write.clone()).await, Err(CommitError::Malformed { .. })), "{write:?}");
    }
    let mut unsorted = update(1, 1);
    unsorted.traits.sets = vec![tag("b"), tag("a")];
    assert!(matches!(shop.commit(unsorted).await, Err(CommitError::Malformed { .. })));
    assert_eq!(shop.seen().await, before);
}

/// A customer with a little of every part.
async fn detailed(fixture: &dyn Fixture) -> Shop {
    let shop = Shop::open(fixture).await;
    shop.done(Commit {
        request: Some(request(1, "k", "a")),
        outbox: vec![entry(1, 5)],
        ..with_details(create(1)).into()
    })
    .await;
    shop
}

/// Each part can be asked for alone; what is not asked for is empty.
pub async fn parts_that_are_not_asked_for_are_empty(fixture: &dyn Fixture) {
    let shop = detailed(fixture).await;
    let all = shop.details(customer(1), Parts::ALL).await;
    let none = Details::default();
    let write = with_details(create(1));
    assert_eq!((&all.traits, &all.scores), (&write.traits, &write.scores));
    assert!(all.key.is_some() && !all.personal.is_empty() && all.tokens > 0);
    assert!(all.requests.len() == 1 && all.outbox.len() == 1);
    let only = Parts::default();
    let parts = [
        (only, none.clone()),
        (Parts { traits: true, ..only }, Details { traits: all.traits.clone(), ..none.clone() }),
        (Parts::SCORES, Details { scores: all.scores.clone(), ..none.clone() }),
        (
            Parts::PERSONAL,
            Details { key: all.key.clone(), personal: all.personal.clone(), tokens: all.tokens, ..none.clone() },
        ),
        (Parts { requests: true, ..only }, Details { requests: all.requests.clone(), ..none.clone() }),
        (Parts { outbox: true, ..only }, Details { outbox: all.outbox.clone(), ..none }),
    ];
    for (parts, expected) in parts {
        assert_eq!(shop.details(customer(1), parts).await, expected, "{parts:?}");
    }
}

/// Details come in the order of the ids, once for each time an id is given; none for nobody.
pub async fn details_come_in_the_order_asked_for(fixture: &dyn Fixture) {
    let shop = detailed(fixture).await;
    shop.done(create(2)).await;
    // What is told about somebody, or asked by somebody, makes no customer.
    shop.done(Commit { request: Some(request(3, "k", "a")), outbox: vec![entry(3, 5)], ..Commit::default() }).await;
    let full = Some(shop.details(customer(1), Parts::ALL).await);
    let asked = [2, 3, 1, 9, 1, 2].map(customer);
    let answer = shop.store.details(&shop.tenant, &asked, Parts::ALL).await.expect("the store reads details");
    let bare = || Some(Details::default());
    assert_eq!(answer, [bare(), None, full.clone(), None, full, bare()]);
    let nobody = shop.store.details(&shop.tenant, &[], Parts::ALL).await.expect("the store reads details");
    assert!(nobody.is_empty());
    let unknown = shop.neighbour("unknown");
    let absent = unknown.store.details(&unknown.tenant, &asked, Parts::ALL).await.expect("the store reads details");
    assert_eq!(absent, vec![None; asked.len()]);
}

/// A customer's own requests, by key, byte by byte, with what was answered.
pub async fn requests_are_listed_by_key(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1)).await;
    let keys = ["b", "a", "B", "a\0", "店", "aa"];
    for (version, key) in (1..).zip(keys) {
        let body = format!("body of {key}");
        shop.done(Commit { request: Some(request(1, key, &body)), ..update(1, version).into() }).await;
    }
    let empty = Commit { request: Some(request(1, "empty", "")), ..Commit::default() };
    shop.done(empty.clone()).await;
    shop.commit(empty).await.expect("it is replayed");
    shop.done(Commit { request: Some(request(2, "theirs", "x")), ..create(2).into() }).await;
    let refused = Commit { request: Some(request(1, "refused", "x")), ..create(1).into() };
    assert!(shop.commit(refused).await.is_err());
    let requests = shop.details(customer(1), Parts { requests: true, ..Parts::default() }).await.requests;
    let mut expected: Vec<_> = keys.map(|key| request(1, key, &format!("body of {key}"))).into();
    expected.push(request(1, "empty", ""));
    expected.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(requests.len(), expected.len());
    for (row, request) in requests.iter().zip(&expected) {
        assert_eq!((&row.key, row.digest, &row.answer), (&request.key, request.digest, &request.answer));
    }
}

/// What waits, leased or not, by when it is due and by id; then what is dead, in the same order.
pub async fn outbox_entries_are_listed_by_when_they_are_due(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let about = |number, due| OutboxEntry { customer: customer(1), ..entry(number, due) };
    let mut entries = vec![about(1, 30), about(2, 10), about(3, 10), about(4, -5), about(5, 5), about(6, 90)];
    shop.done(Commit { outbox: [&entries[..], &[entry(9, 0)]].concat(), ..Commit::from(create(1)) }).await;
    entries.sort_by_key(|entry| (entry.due_at, entry.id));
    let listed = async || shop.details(customer(1), Parts { outbox: true, ..Parts::default() }).await.outbox;
    assert_eq!(listed().await, entries);
    let leased = shop.lease(10, 50, 9).await;
    assert_eq!(listed().await, entries, "what is leased still waits");
    for leased in leased.iter().filter(|leased| [4, 2].map(super::sample::event_id).contains(&leased.entry.id)) {
        assert!(shop.settle(leased, Verdict::Dead { reason: "gone".into() }).await);
    }
    let is_dead = |entry: &OutboxEntry| [about(4, -5), about(2, 10)].contains(entry);
    entries.sort_by_key(|entry| (is_dead(entry), entry.due_at, entry.id));
    assert_eq!(listed().await, entries);
}
