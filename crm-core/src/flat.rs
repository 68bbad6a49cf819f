//! Small maps and sets as sorted vectors. A customer has a handful of tags, segments and programmes: a
//! vector holds one without an allocation and several in one, where a B-tree reserves a node for eleven,
//! and a state is read and written for every event.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// A map for few entries, in the order of its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    transparent,
    bound(serialize = "K: Serialize, V: Serialize", deserialize = "K: Deserialize<'de>, V: Deserialize<'de>")
)]
pub(crate) struct FlatMap<K, V>(SmallVec<[(K, V); 1]>);

impl<K, V> Default for FlatMap<K, V> {
    fn default() -> Self {
        FlatMap(SmallVec::new())
    }
}

impl<K: Ord, V> FlatMap<K, V> {
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(own, _)| own.borrow().cmp(key))
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|place| &self.0[place].1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find(key).ok().map(|place| &mut self.0[place].1)
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|place| self.0.remove(place).1)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The value of a key; the default one is put there first where there is none.
    pub(crate) fn get_or_default(&mut self, key: &K) -> &mut V
    where
        K: Clone,
        V: Default,
    {
        let place = self.find(key).unwrap_or_else(|place| {
            self.0.insert(place, (key.clone(), V::default()));
            place
        });
        &mut self.0[place].1
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.find(&key) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => self.0.insert(place, (key, value)),
        }
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> + Clone {
        self.0.iter().map(|(key, value)| (key, value))
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for FlatMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = FlatMap::default();
        entries.into_iter().for_each(|(key, value)| map.insert(key, value));
        map
    }
}

/// A set for few members, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent, bound(serialize = "K: Serialize", deserialize = "K: Deserialize<'de>"))]
pub(crate) struct FlatSet<K>(SmallVec<[K; 1]>);

impl<K> Default for FlatSet<K> {
    fn default() -> Self {
        FlatSet(SmallVec::new())
    }
}

impl<K: Ord> FlatSet<K> {
    pub(crate) fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|own| own.borrow().cmp(key)).is_ok()
    }

    pub(crate) fn insert(&mut self, key: K) {
        if let Err(place) = self.0.binary_search(&key) {
            self.0.insert(place, key);
        }
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Ok(place) = self.0.binary_search(key) {
            self.0.remove(place);
        }
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K) -> bool) {
        self.0.retain(|key| keep(key));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, K> {
        self.0.iter()
    }
}

impl<K: Ord> FromIterator<K> for FlatSet<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut keys: SmallVec<[K; 1]> = keys.into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        FlatSet(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_in_order_and_keys_are_there_once() {
        let mut map: FlatMap<u8, &str> = [(3, "c"), (1, "a"), (3, "d")].into_iter().collect();
        map.insert(2, "b");
        assert_eq!(map.iter().collect::<Vec<_>>(), [(&1, &"a"), (&2, &"b"), (&3, &"d")]);
        assert_eq!((map.get(&2), map.get(&9)), (Some(&"b"), None));
        map.get_or_default(&9).clone_from(&"z");
        assert_eq!(map.get(&9), Some(&"z"));
    }

    #[test]
    fn a_set_holds_each_member_once_and_in_order() {
        let mut set: FlatSet<u8> = [3, 1, 3, 2].into_iter().collect();
        set.remove(&2);
        set.remove(&7);
        assert_eq!(set.iter().copied().collect::<Vec<_>>(), [1, 3]);
        assert!(set.contains(&3) && !set.contains(&2) && set.len() == 2);
    }
}
