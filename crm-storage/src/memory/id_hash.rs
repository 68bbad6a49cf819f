//! Hashing customer ids, which every commit does several times. An id is 16 bytes that are spread well
//! already, so two multiplications do; the secret of each store keeps anyone from choosing ids that collide.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Makes the hashers of one map.
#[derive(Debug, Clone)]
pub(super) struct IdHash {
    secret: u64,
}

impl Default for IdHash {
    fn default() -> Self {
        IdHash { secret: RandomState::new().hash_one(0_u8) }
    }
}

impl BuildHasher for IdHash {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher { secret: self.secret, folded: self.secret }
    }
}

/// Folds one id into 64 bits.
#[derive(Debug)]
pub(super) struct IdHasher {
    secret: u64,
    folded: u64,
}

impl IdHasher {
    /// The two halves of a 128-bit product, which depend on every bit of both factors.
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.folded ^ word) * u128::from(self.secret | 1);
        self.folded = (product as u64 ^ (product >> 64) as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word));
        }
    }

    fn write_usize(&mut self, length: usize) {
        self.folded ^= length as u64;
    }

    fn finish(&self) -> u64 {
        self.folded
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crm_core::{CustomerId, Timestamp};

    use super::*;

    #[test]
    fn neighbouring_ids_are_spread() {
        let hash = IdHash::default();
        let ids = (0..10_000).map(|millis| CustomerId::new(Timestamp::from_millis(millis).unwrap(), [0; 10]));
        let hashes: Vec<u64> = ids.map(|id| hash.hash_one(id)).collect();
        assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), 10_000);
        // A table of 16,384 places has about 4,600 of them empty when 10,000 values fall at random, and
        // its control bytes are the top seven bits.
        let places: HashSet<u64> = hashes.iter().map(|hash| hash % 16_384).collect();
        assert!(places.len() > 7_000, "{}", places.len());
        assert_eq!(hashes.iter().map(|hash| hash >> 57).collect::<HashSet<_>>().len(), 128);
    }
}
