//! A map that forgets its oldest entry rather than grow without end.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Entries that an empty map keeps room for.
const KEPT: usize = 64;

/// A map of at most `limit` entries that remembers in which order they came.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    entries: HashMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
    next: u64,
    limit: usize,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            limit,
        }
    }

    /// Puts an entry in the place of an older one with the same key, and as the newest. Gives back
    /// the oldest entry when there was no room for both.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<(K, V)> {
        let number = self.next;
        self.next += 1;
        if let Some((old, _)) = self.entries.insert(key.clone(), (number, value)) {
            self.order.remove(&old);
        }
        self.order.insert(number, key);
        if self.entries.len() <= self.limit {
            return None;
        }
        self.pop_oldest()
    }

    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub(super) fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    pub(super) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (number, value) = self.entries.remove(key)?;
        self.order.remove(&number);
        if self.entries.is_empty() && self.entries.capacity() > KEPT {
            // A burst is over.
            self.entries.shrink_to(KEPT);
        }
        Some(value)
    }

    /// The entry that came first.
    pub(super) fn oldest(&self) -> Option<&K> {
        self.order.first_key_value().map(|(_, key)| key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn pop_oldest(&mut self) -> Option<(K, V)> {
        let (_, key) = self.order.pop_first()?;
        let (_, value) = self.entries.remove(&key)?;
        Some((key, value))
    }

    /// The entries, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.order
            .values()
            .filter_map(|key| Some((key, self.get(key)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest() {
        let mut map = Bounded::new(2);
        assert_eq!(map.insert("a", 1), None);
        assert_eq!(map.insert("b", 2), None);
        assert_eq!(map.insert("a", 3), None, "a is the newest now");
        assert_eq!(map.insert("c", 4), Some(("b", 2)));
        assert_eq!(map.iter().collect::<Vec<_>>(), [(&"a", &3), (&"c", &4)]);
        assert_eq!(
            (map.remove("a"), map.remove("a"), map.oldest()),
            (Some(3), None, Some(&"c"))
        );
        assert_eq!(map.order.len(), 1);
    }
}
