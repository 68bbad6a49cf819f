//! The workload: customers who are there already, drawn uniformly; each commit moves one of them on by an
//! event with a body of 200 bytes and a state of 256.

use crm_core::{Column, Columns, CustomerId, EventId, Timestamp};
use crm_storage::{Commit, CustomerWrite, EventRow, Expected, StateRow, Traits, Version};

/// Splitmix64: the same numbers for the same seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Customers, and the version each is at.
pub(crate) struct Base {
    pub(crate) versions: Vec<u64>,
    dice: Dice,
}

impl Base {
    /// Nobody yet, of so many to come.
    pub(crate) fn new(customers: usize) -> Self {
        Base { versions: vec![0; customers], dice: Dice(7) }
    }

    /// The commits that make everybody, in batches.
    pub(crate) fn make(&mut self) -> Vec<Vec<Commit>> {
        let numbers: Vec<usize> = (0..self.versions.len()).collect();
        numbers.chunks(1000).map(|chunk| chunk.iter().map(|&number| self.next(number)).collect()).collect()
    }

    /// So many commits, no customer twice.
    pub(crate) fn batch(&mut self, size: usize) -> Vec<Commit> {
        let mut numbers = std::collections::BTreeSet::new();
        while numbers.len() < size {
            numbers.insert((self.dice.roll() % self.versions.len() as u64) as usize);
        }
        // In no order, as callers come.
        let mut numbers: Vec<usize> = numbers.into_iter().collect();
        for at in (1..numbers.len()).rev() {
            numbers.swap(at, (self.dice.roll() % (at as u64 + 1)) as usize);
        }
        numbers.into_iter().map(|number| self.next(number)).collect()
    }

    /// The next commit of a customer.
    pub(crate) fn next(&mut self, number: usize) -> Commit {
        let version = self.versions[number];
        self.versions[number] += 1;
        let expected = if version == 0 { Expected::New } else { Expected::At(Version(version)) };
        let state = StateRow { shape: 1, bytes: vec![version as u8; 256] };
        let mut write = CustomerWrite::new(customer(number), expected, state);
        write.traits = traits(number as u64, version);
        let at = Timestamp::from_millis(1_700_000_000_000 + version as i64).unwrap();
        write.events.push(EventRow {
            id: EventId::from_uuid(uuid::Uuid::from_u64_pair(
                (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ version.wrapping_mul(0x2545_f491_4f6c_dd1d),
                version,
            )),
            at,
            recorded_at: at,
            kind: "order_placed".into(),
            shape: 1,
            source: None,
            cause: None,
            body: vec![b'x'; 200],
        });
        Commit { writes: vec![write], ..Commit::default() }
    }
}

pub(crate) fn customer(number: usize) -> CustomerId {
    let at = Timestamp::from_millis(1_600_000_000_000 + number as i64).unwrap();
    let mut entropy = [0; 10];
    entropy[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    CustomerId::new(at, entropy)
}

/// Numbers as a shop has them: most orders are few, most spend is small.
pub(crate) fn traits(number: u64, version: u64) -> Traits {
    let mut dice = Dice(number);
    let mut columns = Columns::NONE;
    let orders = (dice.roll() % 100).pow(2) as i64 / 1000;
    columns.set(Column::Stage, Some(1 + (dice.roll() % 4) as i64));
    columns.set(Column::FirstSeen, Some(1_600_000_000_000));
    columns.set(Column::LastSeen, Some(1_700_000_000_000 + version as i64));
    columns.set(Column::Orders, Some(orders));
    columns.set(Column::Spend, Some(orders * (dice.roll() % 10_000) as i64));
    columns.set(Column::Points, Some((dice.roll() % 1_000) as i64));
    if orders > 0 {
        columns.set(Column::LastOrder, Some(1_690_000_000_000 + (dice.roll() % 10_000_000_000) as i64));
    }
    Traits { columns, sets: Vec::new() }
}
