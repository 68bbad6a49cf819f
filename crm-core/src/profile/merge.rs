//! Joining the cards of one person who was known as several. The join is commutative, associative and
//! idempotent, so that it does not matter in which order, or how often, cards are joined.

use std::collections::BTreeMap;

use super::address::Address;
use super::card::{Card, CardValue, CustomPreference, Telling};
use super::contact_point::ContactPoint;
use super::field::Field;
use super::line::CardLine;

impl Card {
    /// The join of several cards. Of a single value the one that was told last holds; a list is the union, and
    /// carries the time and the source of the newest of them. The union may be longer than a list that is told.
    #[must_use]
    pub fn join<'c>(cards: impl IntoIterator<Item = &'c Card>) -> Card {
        cards.into_iter().fold(Card::default(), |joined, card| joined.with(card))
    }

    fn with(mut self, other: &Card) -> Card {
        for (field, telling) in &other.0 {
            // A list has one order in a join, whatever order it was told in.
            let telling = join(field, telling.clone(), telling.clone());
            let joined = match self.0.remove(field) {
                Some(own) => join(field, own, telling),
                None => telling,
            };
            self.0.insert(field.clone(), joined);
        }
        self
    }
}

fn join(field: &Field, a: Telling, b: Telling) -> Telling {
    let is_list = matches!(
        field,
        Field::Addresses
            | Field::ContactPoints
            | Field::MemberNumbers
            | Field::Preferences
            | Field::Interests
            | Field::Keywords
            | Field::OwnKeywords
    );
    if !is_list {
        return a.max(b);
    }
    let (at, source) = (&a.at, &a.source).max((&b.at, &b.source));
    let (at, source) = (*at, source.clone());
    let value = match (a.value, b.value) {
        (Some(CardValue::Addresses(mut list)), Some(CardValue::Addresses(more))) => {
            list.extend(more);
            Some(CardValue::Addresses(addresses(list)))
        }
        (Some(CardValue::ContactPoints(mut list)), Some(CardValue::ContactPoints(more))) => {
            list.extend(more);
            Some(CardValue::ContactPoints(contact_points(list)))
        }
        (Some(CardValue::Lines(mut list)), Some(CardValue::Lines(more))) => {
            list.extend(more);
            list.sort_unstable();
            list.dedup();
            Some(CardValue::Lines(list))
        }
        (Some(CardValue::Preferences(mut list)), Some(CardValue::Preferences(more))) => {
            list.extend(more);
            Some(CardValue::Preferences(preferences(list)))
        }
        (Some(list), None) | (None, Some(list)) => Some(list),
        (a, b) => a.max(b),
    };
    Telling { at, value, source }
}

/// The smallest of those with one key, in their order: what is preferred comes first.
fn smallest<T: Ord, K: Ord>(list: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut by_key: BTreeMap<K, T> = BTreeMap::new();
    for item in list {
        let key = key(&item);
        match by_key.get(&key) {
            Some(kept) if *kept <= item => {}
            Some(_) | None => {
                by_key.insert(key, item);
            }
        }
    }
    let mut list: Vec<T> = by_key.into_values().collect();
    list.sort_unstable();
    list
}

/// Each contact point once, with its strongest preference, the preferred first.
pub(super) fn contact_points(list: Vec<ContactPoint>) -> Vec<ContactPoint> {
    smallest(list, ContactPoint::key)
}

/// Each address once, likewise. One without a preference comes last.
pub(super) fn addresses(list: Vec<Address>) -> Vec<Address> {
    let mut list = smallest(list.into_iter().map(ByPreference).collect(), |address| address.0.key());
    list.sort_unstable();
    list.into_iter().map(|address| address.0).collect()
}

#[derive(PartialEq, Eq)]
struct ByPreference(Address);

impl Ord for ByPreference {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let rank = |address: &Address| address.preference().map_or(u8::MAX, super::contact_point::Preference::get);
        rank(&self.0).cmp(&rank(&other.0)).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for ByPreference {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Each line once, in the order in which they were told.
pub(super) fn lines(list: Vec<CardLine>) -> Vec<CardLine> {
    let mut seen = std::collections::BTreeSet::new();
    list.into_iter().filter(|line| seen.insert(line.clone())).collect()
}

/// One preference for each name; of several the last in the order of values.
pub(super) fn preferences(list: Vec<CustomPreference>) -> Vec<CustomPreference> {
    let mut by_name: BTreeMap<CardLine, CustomPreference> = BTreeMap::new();
    for preference in list {
        let kept = by_name.entry(preference.name.clone()).or_insert_with(|| preference.clone());
        if *kept < preference {
            *kept = preference;
        }
    }
    by_name.into_values().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::Source;
    use crate::profile::{Preference, Sourced};
    use crate::time::Timestamp;

    fn line() -> impl Strategy<Value = CardLine> {
        "[abc]".prop_map(|text| CardLine::new(text).unwrap())
    }

    fn contact() -> impl Strategy<Value = ContactPoint> {
        ("[ab]", proptest::option::of(1_u8..4)).prop_map(|(local, preference)| {
            let point = ContactPoint::email(&format!("{local}@example.com")).unwrap();
            preference.map_or(point.clone(), |rank| point.preferred(Preference::new(rank).unwrap()))
        })
    }

    fn address() -> impl Strategy<Value = Address> {
        ("[ab]", proptest::option::of(1_u8..4)).prop_map(|(city, preference)| {
            let address = Address::new(&[], &city, "", "", None).unwrap();
            preference.map_or(address.clone(), |rank| address.preferred(Preference::new(rank).unwrap()))
        })
    }

    fn telling(value: impl Strategy<Value = CardValue>) -> impl Strategy<Value = Telling> {
        (0_i64..4, proptest::option::of(value), "[xy]").prop_map(|(at, value, source)| Sourced {
            at: Timestamp::from_millis(at).unwrap(),
            value,
            source: Source::new(source).unwrap(),
        })
    }

    fn card() -> impl Strategy<Value = Card> {
        let list = |item| proptest::collection::vec(item, 0..4);
        let employer = telling(line().prop_map(CardValue::Line));
        let keywords = telling(list(line()).prop_map(|all| CardValue::Lines(lines(all))));
        let contacts = telling(
            proptest::collection::vec(contact(), 0..4).prop_map(|all| CardValue::ContactPoints(contact_points(all))),
        );
        let homes =
            telling(proptest::collection::vec(address(), 0..4).prop_map(|all| CardValue::Addresses(addresses(all))));
        let likes = telling(proptest::collection::vec((line(), line()), 0..4).prop_map(|all| {
            CardValue::Preferences(preferences(
                all.into_iter().map(|(name, value)| CustomPreference { name, value }).collect(),
            ))
        }));
        use proptest::option::of;
        (of(employer), of(keywords), of(contacts), of(homes), of(likes)).prop_map(|(a, b, c, d, e)| {
            let fields = [Field::Employer, Field::Keywords, Field::ContactPoints, Field::Addresses, Field::Preferences];
            Card::new(
                fields.into_iter().zip([a, b, c, d, e]).filter_map(|(field, told)| Some((field, told?))).collect(),
            )
        })
    }

    proptest! {
        /// Merging does not depend on which card came first, on how many are joined at once, or on how often.
        #[test]
        fn the_join_has_an_order_of_its_own(a in card(), b in card(), c in card()) {
            let all = Card::join([&a, &b, &c]);
            prop_assert_eq!(&all, &Card::join([&c, &a, &b]));
            prop_assert_eq!(&all, &Card::join([&Card::join([&a, &b]), &c]));
            prop_assert_eq!(&all, &Card::join([&a, &Card::join([&b, &c])]));
            prop_assert_eq!(&all, &Card::join([&all, &b, &all]));
        }
    }
}
