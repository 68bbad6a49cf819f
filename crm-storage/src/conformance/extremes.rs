//! The largest and the strangest that the contract allows.

use crm_core::{AlarmKind, CustomerId, SmolStr, Timestamp};
use uuid::Uuid;

use super::Fixture;
use super::dice::Dice;
use super::sample::{
    at, claim, create, customer, entry, event, event_id, fields, key, owner, request, score, state, step, update,
};
use super::shop::Shop;
use crate::commit::{
    ClaimKey, Commit, Committed, CustomerWrite, Expected, IdempotencyKey, OutboxEntry, PersonalMove, Request, Version,
};
use crate::error::CommitError;
use crate::lane::Lane;
use crate::row::{ChangeRow, CursorStep, Entries, Entry, EventRow, Leased, ScoreRow, Settlement, Verdict};
use crate::selection::Selection;

/// Everything that is bytes may be a megabyte: bodies, a state, an answer, a personal value, a key.
pub async fn a_body_of_a_megabyte_comes_back_whole(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let big: Vec<u8> = (0..1_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut write = create(1);
    write.events.push(EventRow { body: big.clone(), ..event(1) });
    write.changes.push(ChangeRow { at: at(0), kind: "big".into(), body: big.clone() });
    write.state.iter_mut().for_each(|state| state.bytes.clone_from(&big));
    let personal = PersonalMove { key: Some(big.clone()), ..fields([("photo", Some(&big))]) };
    let request = Request { answer: big.clone(), ..request(1, "k", "a") };
    let outbox = vec![OutboxEntry { body: big.clone(), ..entry(1, 0) }];
    let commit = Commit { request: Some(request), outbox, ..write.personal(personal).into() };
    shop.done(commit.clone()).await;
    shop.store.define(&shop.tenant, 0, big.clone()).await.expect("it is added");
    let seen = shop.seen().await;
    assert!(seen.events[0][0].body == big && seen.changes[0][0].body == big && seen.customers[0].state.bytes == big);
    let details = &seen.details[0];
    assert!(details.key.as_ref() == Some(&big) && details.personal[0].1 == big && details.requests[0].answer == big);
    assert!(seen.outbox[0].body == big && seen.definitions[0] == big);
    assert!(shop.commit(commit).await == Ok(Committed::Replayed { answer: big }));
}

/// 100,000 events of one customer, appended in commits of 5,000, then read in pages of 10,000.
pub async fn a_hundred_thousand_events_of_one_customer_are_read_in_pages(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    shop.done(create(1)).await;
    for round in 0..20 {
        let numbers = round * 5_000..(round + 1) * 5_000;
        shop.done(numbers.fold(update(1, 1 + round), CustomerWrite::event).change(round)).await;
    }
    let (mut count, mut after) = (0, None);
    loop {
        let page = shop.page(customer(1), Entries::Events, after, 10_000).await;
        for entry in &page.rows {
            assert!(matches!(entry, Entry::Event(event) if event.id == event_id(count)), "event {count}: {entry:?}");
            count += 1;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(count, 100_000);
    assert_eq!(shop.changes(customer(1), 7).await.len(), 20);
    let repeat = shop.commit(update(1, 21).event(100_000).event(4_321)).await;
    assert_eq!(repeat, Err(CommitError::EventExists { customer: customer(1), event: event_id(4_321) }));
}

/// 10,000 outbox entries in one commit, leased in lists and settled in one.
pub async fn ten_thousand_outbox_entries_fit_in_one_commit(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let outbox = (0..10_000).map(|number| entry(number, (number % 7) as i64)).collect();
    shop.done(Commit { outbox, ..Commit::default() }).await;
    let mut leased = shop.lease(6, 1000, 1).await;
    leased.extend(shop.lease(6, 1000, 3_999).await);
    leased.extend(shop.lease(6, 1000, usize::MAX).await);
    assert_eq!(leased.len(), 10_000);
    assert!(leased.is_sorted_by_key(|leased| (leased.entry.due_at, leased.entry.id)));
    let settlement = |(leased, number): (&Leased, usize)| {
        let verdict = match number % 4 {
            0 => Verdict::Done,
            1 => Verdict::GiveBack,
            2 => Verdict::Retry { at: at(50) },
            _ => Verdict::Dead { reason: "gone".into() },
        };
        Settlement { id: leased.entry.id, token: leased.token, verdict }
    };
    let settlements: Vec<Settlement> = leased.iter().zip(0..).map(settlement).collect();
    let settled = shop.store.settle(&shop.tenant, &settlements).await.expect("the store settles");
    assert!(settled.len() == 10_000 && settled.iter().all(|settled| *settled));
    assert_eq!(shop.lease(49, 0, usize::MAX).await.len(), 2_500);
    assert_eq!(shop.lease(50, 0, usize::MAX).await.len(), 5_000);
    assert_eq!(shop.all_dead_letters(999).await.len(), 2_500);
}

/// Names are kept and told apart byte by byte: with NUL, quotes, in any script, empty, long.
pub async fn names_are_kept_as_they_are(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let long = "n".repeat(1000);
    let mut names = [
        "a",
        "A",
        "a ",
        "a\0",
        "a\0b",
        "\0",
        "",
        "'",
        "\"",
        "%",
        "_",
        "\\",
        "é",
        "e\u{301}",
        "店",
        "😀",
        "\u{202e}abc",
        "\u{fffd}",
        &long,
    ];
    names.sort_unstable();
    let mut write = create(1);
    for (name, number) in names.iter().zip(1..) {
        write.events.push(EventRow { kind: (*name).into(), body: name.as_bytes().to_vec(), ..event(number) });
        write.changes.push(ChangeRow { at: at(0), kind: (*name).into(), body: name.as_bytes().to_vec() });
        for score in [score(name, "o", 1, 1.0), score("p", name, 1, 1.0)] {
            write.scores.push(ScoreRow { version: (*name).into(), terms: (*name).into(), ..score });
        }
    }
    write = write.personal(PersonalMove {
        fields: names.iter().map(|name| ((*name).into(), Some(name.as_bytes().to_vec()))).collect(),
        ..PersonalMove::default()
    });
    let told = |(number, name): (u64, &&str)| OutboxEntry { topic: (*name).into(), ..entry(number, number as i64) };
    let outbox: Vec<OutboxEntry> = (1..).zip(&names).map(told).collect();
    let counters = (1..).zip(names).map(|(by, name)| step(name, by, 99)).collect();
    let claims = names.iter().map(|name| claim(key(name, name), 1, 1)).collect();
    shop.done(Commit { outbox: outbox.clone(), counters, claims, ..write.clone().into() }).await;
    let seen = shop.seen().await;
    assert_eq!((&seen.events[0], &seen.changes[0], &seen.outbox), (&write.events, &write.changes, &outbox));
    write.scores.sort_by_key(|score| (score.plugin.clone(), score.output.clone()));
    assert_eq!(seen.details[0].scores, write.scores);
    let fields: Vec<&str> = seen.details[0].personal.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(fields, names);
    assert!(seen.details[0].personal.iter().all(|(name, value)| name.as_bytes() == value));
    for (name, number) in names.into_iter().zip(1..) {
        assert_eq!(shop.counter(name).await, number);
        assert_eq!(shop.resolve(&[key(name, name), key(name, "other")]).await, [Some(owner(1, 1)), None]);
        let is = crm_core::expression::Comparison::Eq;
        let scored = Selection::Score { plugin: "p".into(), output: name.into(), is, value: 1.0 };
        assert_eq!(shop.count(&scored).await, 1, "{name:?}");
    }
    for leased in shop.lease(Timestamp::MAX.as_millis(), 10, 99).await {
        let reason = leased.entry.topic.clone();
        assert!(shop.settle(&leased, Verdict::Dead { reason }).await);
    }
    let letters = shop.all_dead_letters(5).await;
    assert!(letters.len() == names.len() && letters.iter().all(|letter| letter.reason == letter.entry.topic));
}

/// The longest of everything that rows are found by, all at once and of bytes that nothing makes shorter. Two
/// that differ in their last byte are two.
pub async fn the_longest_names_and_keys_are_kept(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let mut dice = Dice(1);
    let mut noise = |length: usize| -> Vec<u8> { (0..length).map(|_| b' ' + dice.below(95) as u8).collect() };
    let name = noise(Commit::NAME_MAX_BYTES - 1);
    let name = |last: char| SmolStr::from(String::from_utf8_lossy(&name).into_owned() + &last.to_string());
    let mut key = ClaimKey { kind: name('a'), key: noise(ClaimKey::MAX_BYTES) };
    let request_key = String::from_utf8_lossy(&noise(IdempotencyKey::MAX_BYTES)).into_owned();
    let consumer = String::from_utf8_lossy(&noise(255)).into_owned();
    let mut claims = Vec::new();
    for last in [b'a', b'b'] {
        key.key[ClaimKey::MAX_BYTES - 1] = last;
        claims.push(claim(key.clone(), 1, claims.len() as u64));
    }
    let mut write = create(1);
    for (plugin, output) in [('a', 'a'), ('a', 'b'), ('b', 'a')] {
        write.scores.push(score(&name(plugin), &name(output), 1, f64::from(u32::from(output))));
    }
    let value = |value: &str| Some(value.as_bytes().to_vec());
    let personal = vec![(name('a'), value("first")), (name('b'), value("second"))];
    let write = write.personal(PersonalMove { fields: personal, ..PersonalMove::default() });
    let outbox = vec![OutboxEntry { topic: name('a'), ..entry(1, 1) }, OutboxEntry { topic: name('b'), ..entry(2, 2) }];
    let counters = vec![step(&name('a'), 3, 9), step(&name('b'), 4, 9)];
    let request = Some(request(1, &request_key, "a"));
    let commit = Commit { request, claims: claims.clone(), counters, outbox: outbox.clone(), ..write.clone().into() };
    shop.done(commit.clone()).await;
    assert_eq!(shop.commit(commit).await, Ok(Committed::Replayed { answer: b"a".to_vec() }));
    let keys: Vec<ClaimKey> = claims.iter().map(|claim| claim.key.clone()).collect();
    assert_eq!(shop.resolve(&keys).await, [Some(owner(1, 0)), Some(owner(1, 1))]);
    let seen = shop.seen().await;
    assert_eq!((&seen.details[0].scores, &seen.outbox), (&write.scores, &outbox));
    assert_eq!(seen.details[0].personal, [(name('a'), b"first".to_vec()), (name('b'), b"second".to_vec())]);
    assert_eq!((shop.counter(&name('a')).await, shop.counter(&name('b')).await), (3, 4));
    let is = crm_core::expression::Comparison::Eq;
    let scored = Selection::Score { plugin: name('a'), output: name('b'), is, value: f64::from(u32::from('b')) };
    assert_eq!(shop.count(&scored).await, 1);
    if shop.has_feed() {
        let taken = shop.store.cursor(&consumer, Lane(0), CursorStep::Take).await;
        assert!(taken.is_ok_and(|cursor| cursor.epoch == 1));
    }
    let erased = shop.store.erase(&shop.tenant, customer(1), &keys).await.expect("the store erases");
    assert_eq!((erased.fields, erased.claims), (2, 2));
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
        write.scores.push(score("p", "o", instant.as_millis(), 1.0));
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
