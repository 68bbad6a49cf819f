//! When and where a programme gives points.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::profile::Country;
use crate::time::Timestamp;

/// When and where a programme gives points. What was given before stays, can be spent and expires as ever.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Validity {
    /// From when on; none means from the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until before when; none means for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// For orders of which countries; empty means of all. An order that names no country is then of none. Actions are of
    /// no country, and not limited.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub countries: BTreeSet<Country>,
    /// Nothing is earned while it is paused. A pause is a new version of the programme, and so is its end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

impl Validity {
    /// Whether something that happened at an instant, in a country where that is known, can earn.
    #[must_use]
    pub fn covers(&self, at: Timestamp, country: Option<&Country>) -> bool {
        let Validity { from, until, countries, paused } = self;
        let now = from.is_none_or(|from| from <= at) && until.is_none_or(|until| at < until);
        let here = countries.is_empty() || country.is_some_and(|country| countries.contains(country));
        !paused && now && here
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_earned_outside_of_time_and_place() {
        let at = |day: i64| Timestamp::from_millis(day * 86_400_000).unwrap();
        let [de, pt] = ["DE", "PT"].map(|code| Country::new(code).unwrap());
        let mut validity = Validity { from: Some(at(1)), until: Some(at(3)), ..Validity::default() };
        assert_eq!([0, 1, 2, 3].map(|day| validity.covers(at(day), None)), [false, true, true, false]);
        validity.countries.insert(de.clone());
        assert!(validity.covers(at(1), Some(&de)) && !validity.covers(at(1), Some(&pt)));
        assert!(!validity.covers(at(1), None));
        validity.paused = true;
        assert!(!validity.covers(at(1), Some(&de)));
    }
}
