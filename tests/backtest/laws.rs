//! Whatever happened: a plugin is shown the past as it was.

use crm::blocking::Crm;
use crm::{
    Channel, Command, Currency, Incoming, Money, Objected, Objection, ObjectionWithdrawn, OrderPlaced, Refunded,
    Restricted, RestrictionLifted, ScoreReplay, Span, Timestamp, Visited, Voided, WorkflowReplay,
};
use proptest::prelude::*;

use super::shop::{Noting, Own, Rows, day, euros, everything, points, shop, source, thanks, who};

/// Something that happens to a shop.
#[derive(Debug, Clone)]
enum Happening {
    /// An order so many days before or after it is told.
    Order(usize, i32, i64),
    Refund(usize, i64),
    Visit(usize),
    /// Of the events told so far, one was wrong.
    Void(usize),
    Bar(usize, bool, bool),
    Merge(usize, usize),
    Part(usize, usize),
    Redeem(usize, i64),
    Days(u32),
    /// Everybody is scored.
    Score,
}

const PEOPLE: usize = 4;

fn happening() -> impl Strategy<Value = Happening> {
    let one = || 0..PEOPLE;
    prop_oneof![
        5 => (one(), prop_oneof![3 => Just(0), 2 => -15..0_i32, 1 => 1..15_i32], 1..90_i64)
            .prop_map(|(n, days, amount)| Happening::Order(n, days, amount)),
        1 => (one(), 1..60_i64).prop_map(|(n, amount)| Happening::Refund(n, amount)),
        1 => one().prop_map(Happening::Visit),
        1 => any::<usize>().prop_map(Happening::Void),
        1 => (one(), any::<bool>(), any::<bool>()).prop_map(|(n, objects, on)| Happening::Bar(n, objects, on)),
        1 => (one(), one()).prop_map(|(n, other)| Happening::Merge(n, other)),
        1 => (one(), one()).prop_map(|(n, other)| Happening::Part(n, other)),
        1 => (one(), 1..40_i64).prop_map(|(n, points)| Happening::Redeem(n, points)),
        4 => (1..12_u32).prop_map(Happening::Days),
        3 => Just(Happening::Score),
    ]
}

/// Lives through it all, and notes with which rows everybody was scored on the way.
fn live(happenings: &[Happening]) -> (Crm, Rows, Vec<Timestamp>) {
    let (clock, crm) = shop(None);
    let mut scorer = Noting::recency();
    let (mut rows, mut scored, mut events, mut now) = (Rows::new(), Vec::new(), Vec::new(), day(20));
    clock.set(now);
    let id = |n: usize| crm.customer(who(n)).unwrap().map(|customer| customer.id());
    for happening in happenings {
        let tell = |n: usize, at: Timestamp, fact: crm::Fact| crm.record(Incoming::new(who(n), at, source(), fact));
        match happening.clone() {
            Happening::Order(n, days, amount) => {
                let moved = Span::days(days.unsigned_abs());
                let at = if days < 0 { now.minus(moved) } else { now.plus(moved) };
                events.extend(tell(n, at, OrderPlaced::new(euros(amount)).into()).map(|recorded| (n, recorded.event)));
            }
            Happening::Refund(n, amount) => {
                let refund = tell(n, now, Refunded { order: None, amount: euros(amount) }.into());
                events.extend(refund.map(|recorded| (n, recorded.event)));
            }
            Happening::Visit(n) => {
                let visit = tell(n, now, Visited { channel: Channel::Web, place: None }.into());
                events.extend(visit.map(|recorded| (n, recorded.event)));
            }
            Happening::Void(place) => {
                if let Some((n, event)) = (!events.is_empty()).then(|| events[place % events.len()]) {
                    let _ = tell(n, now, Voided { event, reason: None }.into());
                }
            }
            Happening::Bar(n, objects, on) => {
                let to = Objection::Profiling;
                let fact = match (objects, on) {
                    (true, true) => Objected { to }.into(),
                    (true, false) => ObjectionWithdrawn { to }.into(),
                    (false, true) => Restricted { reason: None }.into(),
                    (false, false) => RestrictionLifted { reason: None }.into(),
                };
                let _ = tell(n, now, fact);
            }
            Happening::Merge(n, other) => {
                if let (Some(one), Some(other)) = (id(n), id(other)) {
                    let _ = crm.merge(one, other, "test".parse().unwrap());
                }
            }
            Happening::Part(n, other) => {
                if let (Some(one), Some(other)) = (id(n), id(other)) {
                    let _ = crm.part(one, other, "test".parse().unwrap());
                }
            }
            Happening::Redeem(n, amount) => {
                if let Some(customer) = id(n) {
                    let redeem = crm::RedeemPoints {
                        program: points(),
                        points: amount,
                        reason: "test".parse().unwrap(),
                        order: None,
                        total: None,
                    };
                    let _ = crm.execute(customer, Command::RedeemPoints(redeem), &format!("{now} {n} {amount}"));
                }
            }
            Happening::Days(days) => {
                now = now.plus(Span::days(days));
                clock.set(now);
            }
            Happening::Score => {
                crm.advance(now).unwrap();
                scorer.rows.clear();
                crm.score(&mut scorer, now).unwrap();
                let mut found = scorer.rows.remove(&now).unwrap_or_default();
                crm.for_each_customer(|customer| {
                    if customer.restricted_since().is_some() || customer.objects_since(Objection::Profiling).is_some() {
                        found.remove(&customer.id());
                    }
                })
                .unwrap();
                rows.insert(now, found);
                scored.push(now);
                // What is told at the same instant later would be known then too.
                now = now.plus(Span::millis(1));
                clock.set(now);
            }
        }
    }
    (crm, rows, scored)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if std::env::var_os("CRM_SOAK").is_some() { 5_000 } else { 32 }, ..ProptestConfig::default() })]

    /// The customer who is worked out is the one who was there.
    #[test]
    fn everybody_is_scored_as_they_would_have_been_then(happenings in prop::collection::vec(happening(), 1..45)) {
        let (crm, rows, scored) = live(&happenings);
        let before = everything(&crm);
        for at in scored {
            let mut scorer = Noting::recency();
            crm.backtest_scorer(&mut scorer, ScoreReplay::new(at, at, Span::days(1)), |_| {}).unwrap();
            let mut expected = rows[&at].clone();
            // Whoever may not be profiled now is left out; of merged ones each by what they go on as.
            expected.retain(|id, _| {
                let now = crm.customer(*id).unwrap().unwrap();
                now.restricted_since().is_none() && now.objects_since(Objection::Profiling).is_none()
            });
            prop_assert_eq!(scorer.rows.remove(&at).unwrap_or_default(), expected, "at {}", at);
        }
        prop_assert_eq!(everything(&crm), before);
    }

    /// What nobody corrected later, a workflow is told of again just as it was. What is refunded is too little to undo an
    /// order, which would correct the past.
    #[test]
    fn a_workflow_is_called_again_for_all_that_it_was_called_for(happenings in prop::collection::vec(happening(), 1..40)) {
        let own = Own::new(thanks);
        let (clock, crm) = shop(Some(own.clone()));
        let mut now = day(0);
        for happening in happenings {
            let tell = |n: usize, fact: crm::Fact| {
                crm.record(Incoming::new(who(n), now, source(), fact)).unwrap();
            };
            match happening {
                Happening::Order(n, _, amount) => tell(n, OrderPlaced::new(euros(amount)).into()),
                Happening::Refund(n, _) => {
                    tell(n, Refunded { order: None, amount: Money::new(1, Currency::EUR) }.into());
                }
                Happening::Visit(n) => tell(n, Visited { channel: Channel::Web, place: None }.into()),
                Happening::Days(days) => now = now.plus(Span::days(days)),
                Happening::Score => {
                    crm.advance(now).unwrap();
                }
                Happening::Redeem(..) | Happening::Void(_) | Happening::Bar(..) | Happening::Merge(..) => {}
                Happening::Part(..) => now = now.plus(Span::days(100)),
            }
            clock.set(now);
        }
        let live = own.heard();
        let report = crm.backtest_workflow(&own, WorkflowReplay::new(day(0), now), |_| {}).unwrap();
        let again = own.heard();
        for (again, live) in again.iter().zip(&live) {
            prop_assert_eq!(again, live);
        }
        prop_assert_eq!((again.len(), report.calls.values().sum::<u64>()), (live.len(), live.len() as u64));
    }
}
