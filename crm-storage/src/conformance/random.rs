//! Random commits, compared step by step with a small model.

use std::collections::BTreeSet;
use std::sync::Arc;

use crm_core::{AlarmKind, CustomerId, Digest, SmolStr, Span};

use super::Fixture;
use super::dice::Dice;
use super::digest::{Names, digest};
use super::model::Model;
use super::random_selection::{PLUGINS, SCORES, random_selection, random_traits};
use super::sample::{
    alarm, at, change, claim, customer, entry, event, key, release, request, score, state, step, tenant, token,
};
use super::shop::Shop;
use crate::commit::{ClaimKey, Commit, CustomerWrite, Expected, OutboxEntry, PersonalMove, Version};
use crate::error::DefineError;
use crate::memory::MemoryStore;
use crate::row::{Erased, Settlement, Verdict};
use crate::store::Store;

/// 3 seeds of 400 steps on a handful of customers, keys and counters, so that they collide all the time.
pub async fn random_commits_do_what_the_model_does(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    for seed in 1..=3 {
        let mut run = Run::new(shop.neighbour(&format!("seed {seed}")), seed);
        for number in 0..400 {
            run.step().await;
            if number % 20 == 0 {
                run.compare().await;
            }
        }
        run.compare().await;
    }
}

/// The same history leaves the same rows, byte by byte, as in the memory store.
pub async fn a_random_history_leaves_what_it_leaves_in_memory(fixture: &dyn Fixture) {
    let store = fixture.fresh().await;
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
    assert_eq!(random_history(&store, 7).await, random_history(&memory, 7).await);
}

/// Carries out a random history of two tenants, `history a` and `history b`, of whom the store must not
/// have any row yet, and gives the digest of what is there afterwards. It is the same for the same seed,
/// whatever the store.
pub async fn random_history(store: &Arc<dyn Store>, seed: u64) -> Digest {
    let tenants = ["history a", "history b"].map(tenant);
    let shops = tenants.clone().map(|tenant| Shop { store: Arc::clone(store), tenant });
    let mut runs = [seed, !seed].into_iter().zip(shops).map(|(seed, shop)| Run::new(shop, seed)).collect::<Vec<_>>();
    for _ in 0..250 {
        for run in &mut runs {
            run.step().await;
        }
    }
    let names = Names {
        tenants: tenants.into(),
        claims: keys(),
        counters: COUNTERS.map(SmolStr::new_static).into(),
        tokens: (0..8).map(token).collect(),
    };
    digest(store, &names).await
}

const COUNTERS: [&str; 2] = ["a", "b"];

/// All keys that are ever claimed.
fn keys() -> Vec<ClaimKey> {
    (0..30).map(|number| key("order", [number])).collect()
}

struct Run {
    dice: Dice,
    model: Model,
    /// What was leased so far, settled or not.
    leases: Vec<Settlement>,
    /// Who was erased and not written since: what a second erasure does to the version is not said.
    erased: BTreeSet<CustomerId>,
    clock: i64,
    shop: Shop,
}

impl Run {
    fn new(shop: Shop, seed: u64) -> Self {
        let (model, leases, erased) = (Model::default(), Vec::new(), BTreeSet::new());
        Run { dice: Dice(seed), model, leases, erased, clock: 0, shop }
    }

    async fn step(&mut self) {
        self.clock += self.dice.below(20) as i64;
        match self.dice.below(14) {
            0 | 1 => self.lease().await,
            2 | 3 => self.settle().await,
            4 => self.define().await,
            5 => self.erase().await,
            6 => self.select().await,
            _ => self.commit().await,
        }
    }

    async fn commit(&mut self) {
        let mut commits = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..1 + self.dice.below(4) {
            let commit = self.random_commit();
            let answer = self.model.commit(&commit);
            if answer.is_ok() {
                for write in commit.writes.iter().filter(|write| write.state.is_some()) {
                    self.erased.remove(&write.customer);
                }
            }
            expected.push(answer);
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
        for _ in 0..dice.below(2) {
            let order = key("order", [dice.below(30) as u8]);
            let owner = self.model.claims.get(&order).map(|owner| owner.customer);
            let stray = release(order, dice.below(9));
            let customer = if dice.once_in(5) { stray.customer } else { owner.unwrap_or(stray.customer) };
            if owner.is_some() || dice.once_in(5) {
                commit.releases.push(crate::commit::Release { customer, ..stray });
            }
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
        commit.outbox = (0..dice.below(3))
            .map(|_| {
                let entry = entry(dice.below(30), self.clock + dice.below(50) as i64);
                OutboxEntry { customer: customer(dice.below(10)), ..entry }
            })
            .collect();
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
            // What giving back or giving up a dead letter does is not said.
            let kinds = if self.model.is_dead(settlement.id) { 3 } else { 6 };
            settlement.verdict = match self.dice.below(kinds) {
                0 => Verdict::Done,
                1 | 2 => Verdict::Retry { at: at(self.clock + self.dice.below(40) as i64) },
                3 => Verdict::GiveBack,
                _ => Verdict::Dead { reason: self.dice.one_of(&["gone", "refused, 店"]).into() },
            };
            settlements.push(settlement);
        }
        settlements.sort_by_key(|settlement| settlement.id);
        settlements.dedup_by_key(|settlement| settlement.id);
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

    async fn erase(&mut self) {
        let customer = customer(self.dice.below(9));
        let keys: Vec<ClaimKey> = (0..self.dice.below(8)).map(|_| key("order", [self.dice.below(30) as u8])).collect();
        if self.model.version(customer).is_some() && !self.erased.insert(customer) {
            return;
        }
        let Erased { fields, key, tokens, outbox, claims, .. } = self.shop.erase(customer, &keys).await;
        let expected = self.model.erase(customer, &keys);
        assert_eq!([fields, u64::from(key), tokens, outbox, claims], expected, "{customer}");
    }

    async fn select(&mut self) {
        for _ in 0..5 {
            let selection = random_selection(&mut self.dice, 3);
            let expected = self.model.select(&selection);
            assert_eq!(self.shop.select(&selection, None, usize::MAX).await, expected, "{selection:?}");
            assert_eq!(self.shop.count(&selection).await, expected.len() as u64, "{selection:?}");
        }
    }

    /// Everything the store shows, and the claims and counters by name.
    async fn compare(&mut self) {
        let shop = &self.shop;
        assert_eq!(shop.kept(3).await, self.model.seen());
        let keys = keys();
        let owners: Vec<_> = keys.iter().map(|key| self.model.claims.get(key).copied()).collect();
        assert_eq!(shop.resolve(&keys).await, owners);
        for name in COUNTERS {
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
    write.traits = random_traits(dice);
    for _ in 0..dice.below(4) {
        write = write.event(dice.below(3000));
    }
    for _ in 0..dice.below(3) {
        write.changes.push(change(dice.below(50)));
    }
    if dice.once_in(3) {
        let (plugin, output) = dice.one_of(&PLUGINS);
        write = write.score(score(plugin, output, dice.below(5) as i64, dice.one_of(&SCORES)));
        write = write.without(plugin, output, dice.below(5) as i64);
    }
    if dice.once_in(3) {
        write = write.personal(random_personal(dice));
    }
    match dice.below(4) {
        0 => {}
        1 => write = write.alarm(model.alarm(customer(number)), None),
        _ => {
            let kind = [AlarmKind::FactDue, AlarmKind::Lifecycle, AlarmKind::Segment][dice.below(3) as usize];
            write = write.alarm(model.alarm(customer(number)), Some(alarm(clock + dice.below(9) as i64, kind)));
        }
    }
    if write.events.is_empty()
        && write.alarm.is_none()
        && write.personal.is_none()
        && expected != Expected::New
        && dice.below(2) == 0
    {
        write.state = None;
    }
    if dice.below(20) == 0 {
        write.events.push(event(dice.below(3000)));
    }
    write
}

fn random_personal(dice: &mut Dice) -> PersonalMove {
    let mut moved = PersonalMove::default();
    let value = |dice: &mut Dice| dice.below(1000).to_be_bytes().to_vec();
    if dice.once_in(2) {
        moved.key = Some(value(dice));
    }
    for name in ["name", "Name", "mail"] {
        match dice.below(4) {
            0 => moved.fields.push((name.into(), None)),
            1 | 2 => moved.fields.push((name.into(), Some(value(dice)))),
            _ => {}
        }
    }
    if dice.once_in(2) {
        let numbers: BTreeSet<u64> = (0..dice.below(5)).map(|_| dice.below(8)).collect();
        moved.tokens = Some(numbers.into_iter().map(token).collect());
    }
    moved
}
