//! Popularity: how much somebody is part of the shop's community, by what they did in it and by who follows them.
//!
//! Which events count, and for how much, the shop says: reviews, answers, photographs are kinds of its own. An event
//! counts for its full weight when it happens, for half of it one half-life later, for a quarter after another, and in
//! between on a straight line from one to the next: so it is whole numbers all the way, never jumps, and is at most 6.1 %
//! above the exponential that it follows. Each event is reckoned in thousandths of a point, rounded down.
//!
//! A state remembers the newest [`INSTANTS_MAX`](crate::interaction::INSTANTS_MAX) events of a kind; older ones count no
//! more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::custom::KindName;
use crate::customer::FactState;
use crate::expression::Events;
use crate::interaction::Instants;
use crate::relationship::{Direction, TieKind, TieSide};
use crate::time::{Span, Timestamp};

/// What makes somebody popular.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PopularityPolicy {
    /// How many points an event of the shop's own kinds is worth.
    pub kinds: BTreeMap<KindName, u32>,
    /// How many points somebody is worth who follows them now.
    pub follower: u32,
    /// After how long an event is worth half, in milliseconds; none if it always stays worth the same.
    pub half_life: Option<Span>,
}

/// How popular somebody is, with its parts, in thousandths of a point.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Popularity {
    /// All parts together.
    pub thousandths: u64,
    /// How many follow them.
    pub followers: u32,
    /// What events of each kind are worth now, of those that count.
    pub kinds: BTreeMap<KindName, u64>,
}

impl PopularityPolicy {
    /// How popular somebody is at an instant, by their facts and their ties that last. Costs a look at each event that
    /// is remembered of a kind that counts.
    #[must_use]
    pub fn of<'t>(&self, facts: &FactState, ties: impl IntoIterator<Item = TieSide<'t>>, at: Timestamp) -> Popularity {
        let mut popularity = Popularity::default();
        for (kind, points) in &self.kinds {
            let Some(instants) = facts.instants(&Events::Custom(kind.clone())) else { continue };
            let worth = self.worth(*points, instants, at);
            popularity.kinds.insert(kind.clone(), worth);
            popularity.thousandths = popularity.thousandths.saturating_add(worth);
        }
        if self.follower > 0 {
            let follows = |tie: &TieSide<'_>| *tie.kind == TieKind::Follows && tie.direction == Direction::Incoming;
            popularity.followers = u32::try_from(ties.into_iter().filter(follows).count()).unwrap_or(u32::MAX);
            let worth = u64::from(self.follower) * u64::from(popularity.followers) * 1_000;
            popularity.thousandths = popularity.thousandths.saturating_add(worth);
        }
        popularity
    }

    fn worth(&self, points: u32, instants: &Instants, at: Timestamp) -> u64 {
        let happened = instants.remembered().iter().filter(|then| **then <= at);
        // At most a thousand events of at most 2^42 thousandths.
        happened.map(|then| decayed(u64::from(points) * 1_000, at.as_millis() - then.as_millis(), self.half_life)).sum()
    }
}

/// What is left of a worth after so many milliseconds.
fn decayed(worth: u64, age: i64, half_life: Option<Span>) -> u64 {
    let Some(half_life) = half_life.map(Span::as_millis).filter(|half_life| *half_life > 0) else { return worth };
    let (halvings, rest) = (age / half_life, age % half_life);
    let Some(halved) = u32::try_from(halvings).ok().filter(|halvings| *halvings < 64) else { return 0 };
    // Of what is left at the last halving, half goes by the next one.
    let (twice, rest) = (2 * i128::from(half_life), i128::from(rest));
    let left = (i128::from(worth) * (twice - rest) / twice) >> halved;
    u64::try_from(left).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WEEK: Option<Span> = Some(Span::days(7));

    #[test]
    fn an_event_is_worth_half_after_a_half_life_and_less_in_between() {
        let of = |hours: i64| decayed(1_000, hours * 3_600_000, WEEK);
        assert_eq!([0, 84, 168, 252, 336].map(of), [1_000, 750, 500, 375, 250]);
        assert_eq!(decayed(1_000, i64::MAX, WEEK), 0);
        assert_eq!(decayed(1_000, i64::MAX, None), 1_000);
        assert_eq!(decayed(1_000, 5, Some(Span::millis(0))), 1_000, "no half-life at all");
    }

    proptest! {
        #[test]
        fn worth_never_grows_with_age_and_stays_near_the_exponential(
            worth in 1_000_000..4_000_000_000_000_u64, age in 0..3_000_000_000_i64, more in 0..3_000_000_000_i64,
        ) {
            prop_assert!(decayed(worth, age + more, WEEK) <= decayed(worth, age, WEEK));
            let exact = worth as f64 * (-(age as f64) / (7.0 * 86_400_000.0)).exp2();
            let left = decayed(worth, age, WEEK) as f64;
            prop_assert!(left >= exact.floor() - 1.0 && left <= exact * 1.0615, "{left} for {exact}");
        }
    }
}
