//! Random commits, compared step by step with a small model.

use crm_core::{AlarmKind, Span};

use super::Fixture;
use super::model::Model;
use super::sample::{alarm, at, change, claim, customer, entry, event, key, request, score, state, step};
use super::shop::{Seen, Shop};
use crate::commit::{Commit, CustomerWrite, Expected, Version};
use crate::error::DefineError;
use crate::row::{Settlement, Verdict};

/// 3 seeds of 400 steps on a handful of customers, keys and counters, so that they collide all the time.
pub async fn random_commits_do_what_the_model_does(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    for seed in 1..=3 {
        let shop = shop.neighbour(&format!("seed {seed}"));
        let mut run = Run { dice: Dice(seed), model: Model::default(), leases: Vec::new(), clock: 0, shop };
        for number in 0..400 {
            run.step().await;
            if number % 20 == 0 {
                run.compare().await;
            }
        }
        run.compare().await;
    }
}

struct Run {
    dice: Dice,
    model: Model,
    /// What was leased so far, settled or not.
    leases: Vec<Settlement>,
    clock: i64,
    shop: Shop,
}

impl Run {
    async fn step(&mut self) {
        self.clock += self.dice.below(20) as i64;
        match self.dice.below(10) {
            0 => self.lease().await,
            1 => self.settle().await,
            2 => self.define().await,
            _ => self.commit().await,
        }
    }

    async fn commit(&mut self) {
        let mut commits = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..1 + self.dice.below(4) {
            let commit = self.random_commit();
            expected.push(self.model.commit(&commit));
            commits.push(commit);
        }
        let answers = self.shop.commits(commits.clone()).await;
        assert_eq!(answers, expected, "{commits:#?}");
    }

    fn random_commit(&mut self) -> Commit {
        let dice = &mut self.dice;
        let first = dice.below(6);
        let numbers = (0..1 + dice.below(3)).map(|at| first + at);
        let mut commit = Commit::default();
        for number in numbers {
            commit.writes.push(random_write(dice, &self.model, self.clock, number));
        }
        let one = |dice: &mut Dice| (dice.below(9), dice.below(40));
        commit.claims = (0..dice.below(3))
            .map(|_| {
                let (customer, event) = one(dice);
                claim(key("order", [dice.below(30) as u8]), customer, event)
            })
            .collect();
        commit.counters =
            (0..dice.below(3)).map(|_| step(["a", "b"][dice.below(2) as usize], dice.below(5) as i64 - 2, 6)).collect();
        commit.outbox = (0..dice.below(3)).map(|_| entry(dice.below(30), self.clock + dice.below(50) as i64)).collect();
        if dice.below(3) == 0 {
            let body = ["x", "y", "y", "y"][dice.below(4) as usize];
            commit.request = Some(request(dice.below(3), &dice.below(20).to_string(), body));
        }
        commit
    }

    async fn lease(&mut self) {
        let (length, limit) = (self.dice.below(60), self.dice.below(6) as usize);
        let leased = self.shop.lease(self.clock, length, limit).await;
        self.model.lease(at(self.clock), Span::millis(length), limit, &leased);
        self.leases.extend(leased.iter().map(|leased| Settlement {
            id: leased.entry.id,
            token: leased.token,
            verdict: Verdict::Done,
        }));
    }

    async fn settle(&mut self) {
        let mut settlements = Vec::new();
        for _ in 0..self.dice.below(5).min(self.leases.len() as u64) {
            let mut settlement = self.leases[self.dice.below(self.leases.len() as u64) as usize].clone();
            if self.dice.below(2) == 0 {
                settlement.verdict = Verdict::Retry { at: at(self.clock + self.dice.below(40) as i64) };
            }
            settlements.push(settlement);
        }
        let expected: Vec<bool> = settlements.iter().map(|settlement| self.model.settle(settlement)).collect();
        let settled = self.shop.store.settle(&self.shop.tenant, &settlements).await.expect("the store settles");
        assert_eq!(settled, expected, "{settlements:?}");
    }

    async fn define(&mut self) {
        let revision = self.model.definitions.len() as u64;
        let expected = (revision + self.dice.below(2)).saturating_sub(self.dice.below(2));
        match self.shop.store.define(&self.shop.tenant, expected, vec![revision as u8]).await {
            Ok(next) => {
                assert_eq!((expected, next), (revision, revision + 1));
                self.model.definitions.push(vec![revision as u8]);
            }
            Err(DefineError::Conflict { actual }) => assert!(expected != revision && actual == revision),
            Err(DefineError::Storage(error)) => unreachable!("the store failed: {error}"),
        }
    }

    /// Everything the store shows, and the claims and counters by name.
    async fn compare(&mut self) {
        let shop = &self.shop;
        let customers = shop.customers().await;
        let (mut events, mut changes, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        for row in &customers {
            events.push(shop.events(row.customer, 3).await);
            changes.push(shop.changes(row.customer, 3).await);
            scores.push(shop.scores(row.customer).await);
        }
        let due = shop.due(crm_core::Timestamp::MAX, usize::MAX).await;
        let definitions = shop.store.definitions(&shop.tenant).await.expect("the store reads definitions").rows;
        let seen = Seen { customers, events, changes, scores, due, outbox: Vec::new(), definitions };
        assert_eq!(seen, self.model.seen());
        let keys: Vec<_> = (0..30).map(|number| key("order", [number])).collect();
        let owners: Vec<_> = keys.iter().map(|key| self.model.claims.get(key).copied()).collect();
        assert_eq!(shop.resolve(&keys).await, owners);
        for name in ["a", "b"] {
            let value = self.model.counters.get(name).copied().unwrap_or(0);
            assert_eq!(shop.counter(name).await, i128::from(value));
        }
    }
}

/// Mostly a write that holds; now and then one with a wrong version or an event that may be there.
fn random_write(dice: &mut Dice, model: &Model, clock: i64, number: u64) -> CustomerWrite {
    let actual = model.version(customer(number));
    let guess = if dice.below(10) == 0 { Some(Version(dice.below(9))) } else { actual };
    let expected = guess.map_or(Expected::New, Expected::At);
    let mut write = CustomerWrite::new(customer(number), expected, state(dice.below(1000)));
    for _ in 0..dice.below(4) {
        write = write.event(dice.below(3000));
    }
    for _ in 0..dice.below(3) {
        write.changes.push(change(dice.below(50)));
    }
    if dice.below(3) == 0 {
        write =
            write.score(score("rfm", ["x", "y"][dice.below(2) as usize], dice.below(5) as i64, dice.below(9) as f64));
    }
    match dice.below(4) {
        0 => {}
        1 => write = write.alarm(model.alarm(customer(number)), None),
        _ => {
            let kind = [AlarmKind::FactDue, AlarmKind::Lifecycle, AlarmKind::Segment][dice.below(3) as usize];
            write = write.alarm(model.alarm(customer(number)), Some(alarm(clock + dice.below(9) as i64, kind)));
        }
    }
    if write.events.is_empty() && write.alarm.is_none() && expected != Expected::New && dice.below(2) == 0 {
        write.state = None;
    }
    if dice.below(20) == 0 {
        write.events.push(event(dice.below(3000)));
    }
    write
}

/// The generator splitmix64: the same numbers for the same seed, everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}
