//! Lanes: fixed buckets that a store spreads its rows over. Each row belongs to one, by a hash that never
//! changes, so a lane can be moved to another machine, worked on by one worker, and read in order.

use crm_core::{CustomerId, Digest, EventId, SmolStr, TenantId};

use crate::commit::ClaimKey;

/// The number of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub u16);

impl Lane {
    /// The lane of everything about a customer.
    #[must_use]
    pub fn of_customer(tenant: &TenantId, customer: CustomerId, lanes: u16) -> Self {
        Self::of("customer", tenant, &[customer.as_uuid().as_bytes()], lanes)
    }

    /// The lane of a unique key.
    #[must_use]
    pub fn of_claim(tenant: &TenantId, key: &ClaimKey, lanes: u16) -> Self {
        Self::of("claim", tenant, &[key.kind.as_bytes(), &key.key], lanes)
    }

    /// The lane of a counter.
    #[must_use]
    pub fn of_counter(tenant: &TenantId, name: &SmolStr, lanes: u16) -> Self {
        Self::of("counter", tenant, &[name.as_bytes()], lanes)
    }

    /// The lane of an outbox entry. Its id alone says it, so that one that waits is found by its id.
    #[must_use]
    pub fn of_outbox(tenant: &TenantId, entry: EventId, lanes: u16) -> Self {
        Self::of("outbox", tenant, &[entry.as_uuid().as_bytes()], lanes)
    }

    /// The lane of what belongs to a whole tenant.
    #[must_use]
    pub fn of_tenant(tenant: &TenantId, lanes: u16) -> Self {
        Self::of("tenant", tenant, &[], lanes)
    }

    /// The first bits of a SHA-256 over the parts, each with its length before it. `lanes` is a power of
    /// two, so that every lane has the same share.
    fn of(what: &str, tenant: &TenantId, parts: &[&[u8]], lanes: u16) -> Self {
        debug_assert!(lanes.is_power_of_two(), "{lanes} lanes");
        if lanes <= 1 {
            return Lane(0);
        }
        let mut bytes = Vec::with_capacity(96);
        for part in [what.as_bytes(), tenant.as_str().as_bytes()].iter().chain(parts) {
            bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        let digest = Digest::of(&bytes);
        let [first, second, ..] = *digest.as_bytes();
        Lane(u16::from_be_bytes([first, second]) & (lanes - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_never_changes() {
        let tenant = TenantId::default();
        let customer = CustomerId::from_uuid(uuid::Uuid::from_u128(7));
        let key = ClaimKey { kind: "order".into(), key: b"1".to_vec() };
        let lanes = [
            Lane::of_customer(&tenant, customer, 1024),
            Lane::of_claim(&tenant, &key, 1024),
            Lane::of_counter(&tenant, &"coupon".into(), 1024),
            Lane::of_tenant(&tenant, 1024),
        ];
        assert_eq!(lanes, [Lane(580), Lane(848), Lane(480), Lane(1)]);
        assert_eq!(Lane::of_customer(&tenant, customer, 1), Lane(0));
    }

    #[test]
    fn customers_are_spread_evenly() {
        let tenant = TenantId::default();
        let mut counts = [0_u32; 16];
        for number in 0..16_000 {
            let customer = CustomerId::from_uuid(uuid::Uuid::from_u128(number));
            counts[usize::from(Lane::of_customer(&tenant, customer, 16).0)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
