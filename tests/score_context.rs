//! What a scorer is told that is the same for all rows is the same wherever it is asked: by a run, by a backtest, beside
//! another version, and in WASM.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::{Arc, Mutex};

use crm::blocking::Crm;
use crm::{
    Attribute, Currency, Definition, Digest, Identifier, Incoming, ManualClock, Money, OrderPlaced, PluginFault,
    PluginName, PluginStamp, ScoreBatch, ScoreReplay, ScoreRunName, Scorer, SmolStr, Source, Span, Timestamp,
    score_seed,
};

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::days(day))
}

type Told = (Timestamp, u64, Currency);

/// Notes what it is told.
#[derive(Debug, Clone)]
struct Noting {
    stamp: PluginStamp,
    outputs: [SmolStr; 1],
    told: Arc<Mutex<Vec<Told>>>,
}

impl Noting {
    fn new(name: &str, version: &str) -> Noting {
        let (name, digest) = (PluginName::new(name).unwrap(), Digest::of(version.as_bytes()));
        let stamp = PluginStamp { name, version: version.into(), digest };
        Noting { stamp, outputs: ["one".into()], told: Arc::default() }
    }

    fn told(&self) -> Vec<Told> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }
}

impl Scorer for Noting {
    fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    fn attributes(&self) -> &[Attribute] {
        &[Attribute::Spend]
    }

    fn outputs(&self) -> &[SmolStr] {
        &self.outputs
    }

    fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
        self.told.lock().unwrap().push((batch.as_of, batch.seed, batch.currency));
        Ok(vec![vec![Some(1.0); batch.customers.len()]])
    }
}

/// A shop that counts in euros until the tenth day and in dollars from then on, with one customer.
fn shop() -> (Crm, crm::CustomerId) {
    let clock = Arc::new(ManualClock::at(day(0)));
    let crm = Crm::from(crm::Crm::builder().clock(clock.clone()).build());
    crm.define(day(10), Definition::Currency(Currency::new("USD").unwrap())).unwrap();
    let order = OrderPlaced::new(Money::new(4_900, Currency::EUR));
    let ana = Identifier::email("ana@example.com").unwrap();
    let ana = crm.record(Incoming::new(&ana, day(0), Source::new("shop").unwrap(), order)).unwrap().customer;
    clock.set(day(40));
    (crm, ana)
}

#[test]
fn a_scorer_is_told_the_same_wherever_it_is_asked() {
    let (crm, _) = shop();
    let mut scorer = Noting::new("worth", "1");
    let seed = |day| score_seed(&PluginName::new("worth").unwrap(), day);
    let (euros, dollars) = (Currency::EUR, Currency::new("USD").unwrap());
    let expected = [(day(5), seed(day(5)), euros), (day(20), seed(day(20)), dollars)];
    assert_ne!(seed(day(5)), seed(day(20)));

    for day in [day(5), day(20)] {
        crm.score(&mut scorer, day).unwrap();
    }
    assert_eq!(scorer.told(), expected, "scored at once");
    for (name, day) in [("first", day(5)), ("second", day(20))] {
        let run = crm.score_run(&ScoreRunName::new(name).unwrap(), &scorer.stamp, day).unwrap();
        while crm.score_step(&run, &mut scorer).unwrap().is_some() {}
    }
    assert_eq!(scorer.told(), expected, "in runs");

    let replay = ScoreReplay::new(day(5), day(20), Span::days(15));
    crm.backtest_scorer(&mut scorer, replay, |_| {}).unwrap();
    assert_eq!(scorer.told(), expected, "in a backtest");
    let mut next = Noting::new("worth", "2");
    crm.shadow_scorers(&mut scorer, &mut next, replay, |_| {}).unwrap();
    assert_eq!(scorer.told(), expected, "beside the next version");
    assert_eq!(next.told(), expected, "the next version");

    let mut other = Noting::new("other", "1");
    crm.score(&mut other, day(5)).unwrap();
    let told = other.told();
    assert!(told[0].1 != expected[0].1 && told[0].2 == euros, "another plugin has another seed: {told:?}");
}

#[cfg(feature = "plugins")]
mod wasm {
    use crm::plugins::{Host, Limits, WasmScorer};

    use super::*;

    /// Says as the score of its one row what it was told.
    const TELLING: &str = include_str!("score_context/telling.wat");

    #[test]
    fn a_guest_is_told_the_instant_the_seed_and_the_currency() {
        let wasm = wat::parse_str(TELLING).unwrap();
        let mut limits = Limits::default();
        limits.deadline = std::time::Duration::from_secs(5);
        let mut guest = WasmScorer::load(&Host::new(limits).unwrap(), &wasm, &[]).unwrap();
        let (crm, ana) = shop();
        let score = crm::ScoreName {
            plugin: PluginName::new("telling").unwrap(),
            output: crm::ScoreOutput::new("told").unwrap(),
        };
        for (day, currency) in [(day(5), *b"EUR\0"), (day(20), *b"USD\0")] {
            assert_eq!(crm.score(&mut guest, day).unwrap().scored, 1);
            let told = crm.explain_score(ana, &score).unwrap().unwrap().value;
            let seed = score_seed(&score.plugin, day) >> 32;
            let expected = day.as_millis() + seed.cast_signed() + i64::from(u32::from_le_bytes(currency));
            assert!((told - expected as f64).abs() < 0.5, "{told} is not {expected}");
        }
    }
}
