//! Tiers beside a naive account of them, which looks at everything anew at every hour of years.
#![allow(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "a panic is how a test fails")]

use std::sync::Arc;

use crm::blocking::Crm;
use crm::loyalty::{Period, Window};
use crm::{
    ChangeBody, Channel, Counted, Currency, Definition, Downgrade, ExternalSystem, Formula, Identifier, Incoming,
    ManualClock, Money, OrderPlaced, OrderRef, Program, ProgramId, Projected, Refunded, Rises, Source, Span, TierName,
    Tiers, Timestamp, Visited, Voided,
};
use proptest::option::of;
use proptest::prelude::*;

/// Where the hours are counted from: the third of January 2023, at midnight in UTC.
const FIRST: i64 = 464_592;
/// How many there are: two years, with a 29 February and four changes of clocks.
const HOURS: i64 = 2 * 366 * 24;
const NAMES: [&str; 3] = ["a", "b", "c"];
const FROM: [u64; 3] = [100, 300, 600];

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis((FIRST + hour) * 3_600_000).unwrap()
}

fn club() -> ProgramId {
    ProgramId::new("club").unwrap()
}

fn who() -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), "1").unwrap()
}

#[derive(Debug, Clone)]
enum What {
    /// Of so much, so many hours before it is told.
    Order(i64, i64),
    /// Of one of those before, so much.
    Refund(usize, i64),
    /// One of those before was none.
    Void(usize),
}

#[derive(Debug, Clone)]
struct Life {
    tiers: Tiers,
    events: Vec<(i64, What)>,
    stops: Vec<i64>,
}

fn period() -> impl Strategy<Value = Period> {
    prop_oneof![Just(Period::Week), Just(Period::Month), Just(Period::Quarter), Just(Period::Year)]
}

fn tiers() -> impl Strategy<Value = Tiers> {
    let days = |from: u32, to: u32| (from..to).prop_map(Span::days);
    let window = prop_oneof![
        1 => Just(Window::Ever),
        3 => days(10, 300).prop_map(Window::Rolling),
        2 => period().prop_map(Window::Calendar),
    ];
    let downgrade = prop_oneof![Just(Downgrade::Reevaluate), Just(Downgrade::OneStep), Just(Downgrade::None)];
    (window, of(period()), any::<bool>(), of(days(1, 90)), downgrade, of(0..3_usize), any::<bool>())
        .prop_map(|(window, kept, rises, grace, downgrade, lifetime, points)| {
            let mut tiers = Tiers::default();
            for (name, from) in NAMES.iter().zip(FROM) {
                let program = Program::new(Currency::EUR).with_tier(TierName::new(*name).unwrap(), from);
                tiers.rules.extend(program.tiers.rules);
            }
            if let Some(place) = lifetime {
                tiers.rules[place].lifetime = true;
            }
            tiers.counted = if points { Counted::Points } else { Counted::Spend };
            tiers.window = window;
            tiers.kept_until_end_of = kept;
            if rises && kept.is_some() {
                tiers.rises = Rises::AtPeriodEnd;
            }
            tiers.grace = grace;
            tiers.downgrade = downgrade;
            tiers
        })
        .prop_filter("they can be defined", |tiers| tiers.check().is_ok())
}

fn life() -> impl Strategy<Value = Life> {
    let what = prop_oneof![
        6 => (1..400_i64, prop_oneof![3 => Just(0), 1 => 0..3_000_i64]).prop_map(|(much, back)| What::Order(much, back)),
        2 => (any::<usize>(), 1..400_i64).prop_map(|(order, much)| What::Refund(order, much)),
        1 => any::<usize>().prop_map(What::Void),
    ];
    let events = proptest::collection::vec((0..HOURS, what), 1..14);
    let stops = proptest::collection::vec(0..HOURS, 0..10);
    (tiers(), events, stops).prop_map(|(tiers, mut events, mut stops)| {
        events.sort_by_key(|(at, _)| *at);
        stops.sort_unstable();
        Life { tiers, events, stops }
    })
}

const ZONE: &str = "Europe/Berlin";

fn begin(period: Period, at: Timestamp) -> Timestamp {
    period.begin(at, ZONE.parse().unwrap())
}

fn end(period: Period, at: Timestamp) -> Timestamp {
    period.end(at, ZONE.parse().unwrap())
}

/// An order as the naive account has it: when, how much, and how much came back.
#[derive(Debug, Clone)]
struct Bought {
    at: Timestamp,
    much: i64,
    back: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Count,
    Grace,
    Step,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    tier: usize,
    until: Option<Timestamp>,
    by: By,
    then: Option<usize>,
}

struct Naive<'a> {
    tiers: &'a Tiers,
    orders: Vec<Bought>,
    kept: Option<Kept>,
    lifetime: Option<usize>,
    moves: Vec<(Timestamp, Option<usize>)>,
}

impl Naive<'_> {
    /// What is counted as of an instant, all that was told included.
    fn reached(&self, at: Timestamp) -> Option<usize> {
        let counts = |order: &&Bought| match self.tiers.window {
            Window::Ever => true,
            Window::Rolling(span) => order.at.plus(span) > at,
            Window::Calendar(period) => order.at >= begin(period, at),
        };
        let counted = self.orders.iter().filter(|order| order.at <= at).filter(counts);
        let count: i64 = counted.map(|order| (order.much - order.back).max(0)).sum();
        (0..3).rev().find(|tier| FROM[*tier] <= count as u64)
    }

    /// As of the instant before.
    fn reached_before(&self, at: Timestamp) -> Option<usize> {
        self.reached(Timestamp::from_millis(at.as_millis() - 1).unwrap())
    }

    fn by_count(&self, tier: usize, at: Timestamp) -> Kept {
        let until = self.tiers.kept_until_end_of.map(|period| end(period, at));
        Kept { tier, until, by: By::Count, then: None }
    }

    /// The tier is no longer there by counting.
    fn lose(&mut self, kept: Kept, has: Option<usize>, at: Timestamp) -> Option<Kept> {
        if self.tiers.downgrade == Downgrade::None {
            return Some(self.by_count(kept.tier, at));
        }
        if let Some(grace) = self.tiers.grace.filter(|_| kept.by != By::Grace) {
            let then = has.filter(|_| self.tiers.kept_until_end_of.is_some());
            return Some(Kept { until: Some(at.plus(grace)), by: By::Grace, then, ..kept });
        }
        if self.tiers.downgrade == Downgrade::Reevaluate {
            return has.map(|tier| self.by_count(tier, at));
        }
        let lower = kept.tier.checked_sub(1)?;
        if has >= Some(lower) {
            return Some(self.by_count(lower, at));
        }
        let until = match (self.tiers.kept_until_end_of, self.tiers.window) {
            (Some(period), _) | (None, Window::Calendar(period)) => end(period, at),
            (None, Window::Rolling(span)) => at.plus(span),
            (None, Window::Ever) => unreachable!("it is refused"),
        };
        Some(Kept { tier: lower, until: Some(until), by: By::Step, then: None })
    }

    fn look(&mut self, at: Timestamp) {
        let by_period = self.tiers.kept_until_end_of;
        let rises = match by_period {
            Some(period) if self.tiers.rises == Rises::AtPeriodEnd => {
                (begin(period, at) == at).then(|| self.reached_before(at)).flatten()
            }
            _ => self.reached(at),
        };
        let for_life = rises.and_then(|most| (0..=most).rev().find(|tier| self.tiers.rules[*tier].lifetime));
        self.lifetime = self.lifetime.max(for_life);
        if let Some(kept) = self.kept {
            if kept.until == Some(at) {
                let has = if by_period.is_some() { self.reached_before(at) } else { self.reached(at) };
                let has = has.max(kept.then);
                self.kept =
                    if has >= Some(kept.tier) { Some(self.by_count(kept.tier, at)) } else { self.lose(kept, has, at) };
            } else if kept.until.is_none() && by_period.is_none() {
                let has = self.reached(at);
                if has < Some(kept.tier) && self.tiers.downgrade != Downgrade::None {
                    self.kept = self.lose(kept, has, at);
                }
            } else if kept.by != By::Count
                && (kept.by == By::Grace || by_period.is_none())
                && rises == Some(kept.tier)
                && self.tiers.rises == Rises::AtOnce
            {
                self.kept = Some(self.by_count(kept.tier, at));
            }
        }
        if rises > self.kept.map(|kept| kept.tier).max(self.lifetime) {
            self.kept = rises.map(|tier| self.by_count(tier, at));
        }
        if self.kept.is_some_and(|kept| Some(kept.tier) <= self.lifetime) {
            // What is had for life need not be kept.
            self.kept = None;
        }
        let counted = if by_period.is_none() { self.reached(at) } else { None };
        let only_counted =
            by_period.is_none() && self.tiers.grace.is_none() && self.tiers.downgrade == Downgrade::Reevaluate;
        if only_counted {
            self.kept = None;
        }
        let shown = self.kept.map(|kept| kept.tier).max(self.lifetime).max(counted);
        if self.moves.last().and_then(|(_, tier)| *tier) != shown {
            self.moves.push((at, shown));
        }
    }
}

/// What the naive account says: each move of the tier, with where it was at each end of an hour.
fn naively(life: &Life) -> Vec<(Timestamp, Option<usize>)> {
    let mut naive = Naive { tiers: &life.tiers, orders: Vec::new(), kept: None, lifetime: None, moves: Vec::new() };
    let mut events = life.events.iter().peekable();
    for now in 0..=HOURS {
        naive.look(hour(now));
        while let Some((_, what)) = events.next_if(|(at, _)| *at == now) {
            let orders = naive.orders.len();
            match what {
                What::Order(much, back) => {
                    naive.orders.push(Bought { at: hour(now - back), much: *much, back: 0 });
                }
                What::Refund(order, much) if orders > 0 => naive.orders[order % orders].back += much,
                What::Void(order) if orders > 0 => naive.orders[order % orders].much = 0,
                What::Refund(..) | What::Void(_) => {}
            }
            naive.look(hour(now));
        }
    }
    naive.moves
}

/// What the real one says.
struct Told {
    moves: Vec<(Timestamp, Option<usize>)>,
    /// After each event, what the tier will be when it is looked at next.
    projected: Vec<(i64, Projected)>,
    everything: String,
}

/// The same by the real one.
fn really(life: &Life, stops: &[i64]) -> Told {
    let clock = Arc::new(ManualClock::at(hour(-4_000)));
    let crm = Crm::from(crm::Crm::builder().clock(Arc::clone(&clock)).ids(crm::DerivedIds).build());
    let mut program = Program::point_per_unit(Currency::EUR);
    program.earning[0].gives = Formula::PerMoney { points: 1, per_minor: 1 };
    program.zone = ZONE.parse().unwrap();
    program.tiers = life.tiers.clone();
    crm.define(hour(-4_000), Definition::Program(club(), Some(program))).unwrap();
    let source = Source::new("shop").unwrap();
    let tell = |key: String, at: Timestamp, fact: crm::Fact| {
        crm.record(Incoming::new(who(), at, source.clone(), fact).with_key(key.parse().unwrap())).unwrap()
    };
    let mut stops = stops.iter().copied().peekable();
    let euros = |minor: i64| Money::new(minor, Currency::EUR);
    let (mut orders, mut projected) = (Vec::new(), Vec::new());
    for (n, (now, what)) in life.events.iter().enumerate() {
        while let Some(stop) = stops.next_if(|stop| stop <= now) {
            clock.set(hour(stop));
            crm.advance(hour(stop)).unwrap();
        }
        clock.set(hour(*now));
        crm.advance(hour(*now)).unwrap();
        // They were seen, so that what comes late counts from now on.
        tell(format!("v{n}"), hour(*now), Visited { channel: Channel::Web, place: None }.into());
        let number = |n: usize| OrderRef::new(n.to_string()).unwrap();
        match what {
            What::Order(much, back) => {
                let placed = OrderPlaced::new(euros(*much)).with_order(number(orders.len()));
                orders.push(tell(format!("f{n}"), hour(now - back), placed.into()).event);
            }
            What::Refund(order, much) if !orders.is_empty() => {
                let order = Some(number(order % orders.len()));
                tell(format!("f{n}"), hour(*now), Refunded { order, amount: euros(*much) }.into());
            }
            What::Void(order) if !orders.is_empty() => {
                let event = orders[order % orders.len()];
                tell(format!("f{n}"), hour(*now), Voided { event, reason: None }.into());
            }
            What::Refund(..) | What::Void(_) => {}
        }
        let outlook = crm.tier_outlook(who(), &club()).unwrap().unwrap();
        projected.extend(outlook.projected.map(|projected| (*now, projected)));
    }
    for stop in stops.chain([HOURS]) {
        clock.set(hour(stop));
        crm.advance(hour(stop)).unwrap();
    }
    let story = crm.story(who()).unwrap().unwrap();
    let place = |tier: &TierName| NAMES.iter().position(|name| *name == tier.as_str());
    let moves = story.changes.iter().filter_map(|change| match &change.body {
        ChangeBody::TierReached { to, .. } => Some((change.at, place(to))),
        ChangeBody::TierLost { to, .. } => Some((change.at, to.as_ref().and_then(place))),
        _ => None,
    });
    let moves = moves.collect();
    // What is stored is the fold of what happened, and the outlook agrees with it.
    let definitions = crm.definitions().unwrap();
    let events = story.events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
    let until = story.customer.clock().unwrap();
    let again = crm::Customer::replay(story.customer.id(), events, until, &definitions);
    assert_eq!(again.digest(), story.customer.digest());
    let outlook = crm.tier_outlook(who(), &club()).unwrap().unwrap();
    assert_eq!(outlook.tier.as_ref(), story.customer.standing().tier(&club()));
    let told: Vec<_> = story.events.iter().map(|event| (event.id, event.at, &event.body)).collect();
    Told { moves, projected, everything: format!("{told:?} {:?}", story.changes) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("CRM_SOAK").is_some() { 1_500 } else { 60 }))]

    /// Whatever is bought, sent back or told late, and however time is cut, tiers move as the naive account says.
    #[test]
    fn tiers_move_as_a_naive_account_says(life in life()) {
        let told = really(&life, &[]);
        let moves = naively(&life);
        prop_assert_eq!(&told.moves, &moves);
        // What was projected is what came where nothing happened before.
        for (now, Projected { on, tier }) in told.projected {
            let next = life.events.iter().map(|(at, _)| *at).find(|at| *at > now).unwrap_or(HOURS);
            if on < hour(next) {
                let then = moves.iter().rev().find(|(at, _)| *at <= on).and_then(|(_, tier)| *tier);
                prop_assert_eq!(tier.as_ref().map(TierName::as_str), then.map(|place| NAMES[place]));
            }
        }
        let split = really(&life, &life.stops);
        prop_assert_eq!(&moves, &split.moves);
        prop_assert_eq!(told.everything, split.everything);
    }
}
