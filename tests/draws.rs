//! Draws: whoever wins follows from what was announced, and anybody can check it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod loyal;

use std::collections::BTreeSet;
use std::sync::Arc;

use crm::loyalty::draw::{verify, winners};
use crm::{
    CustomerId, Decision, Deed, Draw, DrawEntries, DrawError, DrawName, Entries, Error, EventBody, LoyaltyError,
    MemoryStore, Refusal, Seed, Store, TogetherError,
};
use loyal::{Shop, all_at_once, at, generous, points};
use proptest::prelude::*;

fn spring() -> DrawName {
    DrawName::new("spring").unwrap()
}

fn seed(n: u8) -> Seed {
    Seed::from_bytes([n; 32])
}

fn draw(winners: u32, seed: &Seed) -> Draw {
    Draw { program: points(), points: 100, winners, commitment: seed.commitment(), entries: None }
}

fn id(n: u64) -> CustomerId {
    CustomerId::new(at(n), [0; 10])
}

fn entries(tickets: &[u64]) -> Entries {
    Entries::new(tickets.iter().zip(1..).map(|(tickets, n)| (id(n), *tickets))).unwrap()
}

fn why<T: std::fmt::Debug>(refused: Result<T, Error>) -> TogetherError {
    match refused {
        Err(Error::Refused(Refusal::Loyalty(LoyaltyError::Together(why)))) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn winners_get_their_points_and_their_history_says_by_what() {
    let shop = Shop::new(generous());
    let all: Vec<CustomerId> = (0..10).map(|n| shop.visitor(&format!("c{n}"))).collect();
    let list = Entries::new(all.iter().map(|id| (*id, 3))).unwrap();
    assert!(shop.crm.announce_draw(&spring(), draw(3, &seed(1))).unwrap());
    assert!(!shop.crm.announce_draw(&spring(), draw(3, &seed(1))).unwrap());
    let taking_part = DrawEntries::These(list.clone());
    let drawn = shop.crm.draw(&spring(), &taking_part, &seed(1), "go").unwrap();
    assert_eq!((drawn.winners.len(), drawn.among, drawn.replayed), (3, 10, false));
    verify(&draw(3, &seed(1)), &seed(1), &list, &drawn.winners).unwrap();
    for (place, winner) in (1..).zip(&drawn.winners) {
        assert_eq!(shop.balance(*winner), 100);
        let events = shop.crm.story(*winner).unwrap().unwrap().events;
        let won = events.iter().find_map(|event| {
            if let EventBody::Decision(Decision { deed: Deed::DrawWon(won), .. }) = &event.body {
                return Some(won.clone());
            }
            None
        });
        let won = won.unwrap();
        assert_eq!((won.place, won.seed, won.entries, won.tickets), (place, seed(1), list.digest(), 3));
        shop.check_replay(*winner);
    }
    assert_eq!(shop.check_totals(), 300);
    // The same again is answered alike; anything else is refused.
    let again = shop.crm.draw(&spring(), &taking_part, &seed(1), "go").unwrap();
    assert_eq!((&again.winners, again.replayed), (&drawn.winners, true));
    assert_eq!(why(shop.crm.draw(&spring(), &taking_part, &seed(1), "twice")), TogetherError::Drawn { name: spring() });
    let fewer = DrawEntries::These(Entries::new([(all[0], 1)]).unwrap());
    assert!(matches!(shop.crm.draw(&spring(), &fewer, &seed(1), "go"), Err(Error::KeyReused)));
    assert_eq!(shop.check_totals(), 300);
    let log = shop.crm.audit_log(None, 10).unwrap().records;
    assert_eq!(log.len(), 2, "that it was announced, and that it was drawn");
    shop.crm.verify_audit(&[], &[]).unwrap();
}

#[test]
fn a_seed_that_was_not_committed_to_draws_nothing_and_what_was_announced_stays() {
    let shop = Shop::new(generous());
    let ana = shop.visitor("ana");
    let list = DrawEntries::These(Entries::new([(ana, 1)]).unwrap());
    assert_eq!(why(shop.crm.draw(&spring(), &list, &seed(1), "a")), TogetherError::NoDraw { name: spring() });
    shop.crm.announce_draw(&spring(), draw(1, &seed(1))).unwrap();
    assert_eq!(why(shop.crm.draw(&spring(), &list, &seed(2), "b")), TogetherError::Draw(DrawError::OtherSeed));
    shop.clock.set(at(5));
    assert!(matches!(shop.crm.announce_draw(&spring(), draw(1, &seed(2))), Err(Error::Definition(_))));
    let none = DrawName::new("none").unwrap();
    for winners in [0, 101] {
        assert!(matches!(shop.crm.announce_draw(&none, draw(winners, &seed(1))), Err(Error::Definition(_))));
    }
    let closed = DrawName::new("closed").unwrap();
    let other = Entries::new([(ana, 2)]).unwrap().digest();
    shop.crm.announce_draw(&closed, Draw { entries: Some(other), ..draw(1, &seed(1)) }).unwrap();
    assert_eq!(why(shop.crm.draw(&closed, &list, &seed(1), "c")), TogetherError::Draw(DrawError::OtherEntries));
    assert_eq!(shop.balance(ana), 0);
}

#[test]
fn whoever_is_several_takes_part_once_and_whoever_was_erased_does_not() {
    let shop = Shop::new(generous());
    let [ana, bea, cem, dan] = ["ana", "bea", "cem", "dan"].map(|who| shop.visitor(who));
    let one = shop.crm.merge(ana, bea, "one person".parse().unwrap()).unwrap().customer;
    shop.crm.erase(cem).unwrap();
    shop.crm.announce_draw(&spring(), draw(5, &seed(1))).unwrap();
    let list = |ids: &[CustomerId]| DrawEntries::These(Entries::new(ids.iter().map(|id| (*id, 1))).unwrap());
    let twice = why(shop.crm.draw(&spring(), &list(&[ana, bea]), &seed(1), "a"));
    assert!(matches!(twice, TogetherError::Draw(DrawError::Twice { .. })));
    assert_eq!(
        why(shop.crm.draw(&spring(), &list(&[cem, dan]), &seed(1), "b")),
        TogetherError::Erased { customer: cem }
    );
    assert!(matches!(shop.crm.draw(&spring(), &list(&[id(9)]), &seed(1), "c"), Err(Error::NoCustomer { .. })));
    let everybody = DrawEntries::Where(crm::Predicate::All(Vec::new()));
    let drawn = shop.crm.draw(&spring(), &everybody, &seed(1), "d").unwrap();
    assert_eq!(drawn.winners.iter().copied().collect::<BTreeSet<_>>(), [one, dan].into());
    assert_eq!((shop.balance(one), shop.balance(dan)), (100, 100));
}

#[test]
fn an_entry_is_checked() {
    let new = |list: &[(u64, u64)]| Entries::new(list.iter().map(|(n, tickets)| (id(*n), *tickets)));
    assert_eq!(new(&[]), Err(DrawError::NoEntries));
    assert_eq!(new(&[(1, 1), (2, 1), (1, 5)]), Err(DrawError::Twice { customer: id(1) }));
    assert_eq!(new(&[(1, 1), (2, 0)]), Err(DrawError::Tickets { customer: id(2), tickets: 0 }));
    assert_eq!(new(&[(1, 1), (2, u64::MAX)]), Err(DrawError::Tickets { customer: id(2), tickets: u64::MAX }));
    let most = new(&[(1, u64::MAX)]).unwrap();
    assert_eq!(winners(&seed(1), &most, 3), [id(1)]);
}

fn drawn_once(store: Arc<dyn Store>) {
    let shop = Shop::over(store, generous());
    let all: Vec<CustomerId> = (0..8).map(|n| shop.visitor(&format!("c{n}"))).collect();
    let list = DrawEntries::These(Entries::new(all.iter().map(|id| (*id, 1))).unwrap());
    shop.crm.announce_draw(&spring(), draw(4, &seed(1))).unwrap();
    let drawn = all_at_once(8, |n| shop.crm.draw(&spring(), &list, &seed(1), &format!("key {n}")).is_ok());
    assert_eq!(drawn.iter().filter(|drawn| **drawn).count(), 1);
    assert_eq!(shop.check_totals(), 400);
}

#[test]
fn however_many_draw_at_once_it_is_drawn_once() {
    drawn_once(Arc::new(MemoryStore::new()));
}

#[cfg(feature = "sqlite")]
#[test]
fn however_many_draw_at_once_in_sqlite_it_is_drawn_once() {
    let folder = tempfile::tempdir().unwrap();
    drawn_once(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
}

/// The sum of squared deviations over what is expected, for a number of kinds.
fn chi_square(counts: &[u64], expected: &[f64]) -> f64 {
    counts.iter().zip(expected).map(|(count, expected)| (*count as f64 - expected).powi(2) / expected).sum()
}

#[test]
fn everybody_wins_as_often_as_they_have_tickets() {
    // Tickets 1 to 10, and each seed a draw; the bound for nine degrees of freedom is passed by chance once in 10,000
    // times, and the seeds are fixed.
    let tickets: Vec<u64> = (1..=10).collect();
    let list = entries(&tickets);
    let mut first = [0_u64; 10];
    let mut second = [0_u64; 10];
    let draws = 5_500_u32;
    for n in 0..draws {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        let won = winners(&Seed::from_bytes(bytes), &list, 2);
        let place = |winner: CustomerId| list.list().iter().position(|(id, _)| *id == winner).unwrap();
        first[place(won[0])] += 1;
        second[place(won[1])] += 1;
    }
    let sum: f64 = tickets.iter().map(|tickets| *tickets as f64).sum();
    let share = |tickets: u64| tickets as f64 / sum;
    let of_first: Vec<f64> = tickets.iter().map(|own| f64::from(draws) * share(*own)).collect();
    // The second is one of those who are left.
    let of_second = |own: u64| {
        let others = tickets.iter().filter(|other| **other != own);
        others.map(|other| share(*other) * own as f64 / (sum - *other as f64)).sum::<f64>() * f64::from(draws)
    };
    let of_second: Vec<f64> = tickets.iter().map(|own| of_second(*own)).collect();
    assert!(chi_square(&first, &of_first) < 33.7, "{first:?}");
    assert!(chi_square(&second, &of_second) < 33.7, "{second:?}");
}

proptest! {
    /// Nobody wins twice, all win where there are prizes enough, and the order of a list does not matter.
    #[test]
    fn winners_follow_from_seed_and_entries(
        tickets in prop::collection::vec(1_u64..1_000, 1..60),
        bytes in any::<[u8; 32]>(),
        n in 1_u32..=100,
    ) {
        let (list, seed) = (entries(&tickets), Seed::from_bytes(bytes));
        let draw = draw(n, &seed);
        let won = winners(&seed, &list, n as usize);
        prop_assert_eq!(won.len(), tickets.len().min(n as usize));
        prop_assert_eq!(won.iter().collect::<BTreeSet<_>>().len(), won.len());
        prop_assert_eq!(verify(&draw, &seed, &list, &won), Ok(()));
        let backwards = Entries::new(list.list().iter().rev().copied()).unwrap();
        prop_assert_eq!(verify(&draw, &seed, &backwards, &won), Ok(()));
        // Fewer prizes are the first of them.
        prop_assert_eq!(&winners(&seed, &list, 1)[..], &won[..1]);
    }

    /// A draw does not hold with any other seed, entry or winner.
    #[test]
    fn whatever_is_changed_is_noticed(
        tickets in prop::collection::vec(1_u64..1_000, 2..30),
        bytes in any::<[u8; 32]>(),
        (bit, entry, more) in (0_usize..256, any::<prop::sample::Index>(), 1_u64..5),
    ) {
        let (list, seed) = (entries(&tickets), Seed::from_bytes(bytes));
        let draw = Draw { entries: Some(list.digest()), ..draw(2, &seed) };
        let won = winners(&seed, &list, 2);
        let mut other = bytes;
        other[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(verify(&draw, &Seed::from_bytes(other), &list, &won), Err(DrawError::OtherSeed));
        let mut changed: Vec<(CustomerId, u64)> = list.list().to_vec();
        let place = entry.index(changed.len());
        changed[place].1 += more;
        let other = Entries::new(changed.clone()).unwrap();
        prop_assert_eq!(verify(&draw, &seed, &other, &won), Err(DrawError::OtherEntries));
        changed.remove(place);
        let other = Entries::new(changed).unwrap();
        prop_assert_eq!(verify(&draw, &seed, &other, &won), Err(DrawError::OtherEntries));
        let mut swapped = won.clone();
        swapped.reverse();
        prop_assert_eq!(verify(&draw, &seed, &list, &swapped), Err(DrawError::OtherWinners));
        prop_assert_eq!(verify(&draw, &seed, &list, &won[..1]), Err(DrawError::OtherWinners));
        prop_assert_eq!(verify(&draw, &seed, &list, &[won[0], won[0]]), Err(DrawError::OtherWinners));
    }
}
