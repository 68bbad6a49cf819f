//! Ids. Those of customers are handed in; every other one is derived from what it identifies, so that
//! a retry, a replay or another machine arrives at the same id.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::text::text_type;
use crate::time::Timestamp;

text_type!(
    /// The shop whose data it is. Every key begins with it, and nothing crosses it.
    TenantId, "tenant", 64
);

impl Default for TenantId {
    /// The tenant `default`, for hosts that serve one shop.
    fn default() -> Self {
        TenantId(smol_str::SmolStr::new_static("default"))
    }
}

text_type!(
    /// Where facts come from, such as `web`, `till` or `import-1997`.
    Source, "source", 64
);
text_type!(
    /// What the source itself calls a fact: its own key, unique within the source.
    FactKey, "fact key", 512
);

/// What the ids begin with under which vouchers are kept. Customers of version 7 with it would be of the year 5884.
const VOUCHERS_MARK: [u8; 4] = *b"vouc";

/// The id of a customer: a UUID of version 7, so that ids sort by creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomerId(Uuid);

impl CustomerId {
    /// An id from its instant of creation and ten bytes that set it apart from others of that
    /// millisecond (RFC 9562, section 5.7). Instants before 1970 count as 1970.
    #[must_use]
    pub fn new(at: Timestamp, entropy: [u8; 10]) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        CustomerId(uuid::Builder::from_unix_timestamp_millis(millis, &entropy).into_uuid())
    }

    /// The id under which a tenant's audit log is kept: of version 8, so that no customer's is the same.
    #[must_use]
    pub fn of_audit_log(tenant: &TenantId) -> Self {
        CustomerId(derived("audit log", &[tenant.as_str().as_bytes()]))
    }

    /// The id under which it is kept how far a tenant's segments are filled: of version 8 too.
    #[must_use]
    pub fn of_fills(tenant: &TenantId) -> Self {
        CustomerId(derived("fills", &[tenant.as_str().as_bytes()]))
    }

    /// The id under which it is kept how far a tenant's scoring runs have come: of version 8 too.
    #[must_use]
    pub fn of_score_runs(tenant: &TenantId) -> Self {
        CustomerId(derived("score runs", &[tenant.as_str().as_bytes()]))
    }

    /// The id under which a batch of vouchers is kept: of version 8 too, with [a mark](Self::is_of_vouchers).
    #[must_use]
    pub fn of_vouchers(tenant: &TenantId, coupon: &str, batch: &str) -> Self {
        Self::marked(&[tenant.as_str().as_bytes(), coupon.as_bytes(), batch.as_bytes()])
    }

    /// The id to which blocked vouchers of a tenant's batches go. Nothing else is kept under it.
    #[must_use]
    pub fn of_blocked_vouchers(tenant: &TenantId) -> Self {
        Self::marked(&[tenant.as_str().as_bytes()])
    }

    /// Whether vouchers are kept under it, so that it is no customer's.
    #[must_use]
    pub fn is_of_vouchers(&self) -> bool {
        self.0.get_version_num() == 8 && self.0.as_bytes()[..VOUCHERS_MARK.len()] == VOUCHERS_MARK
    }

    fn marked(parts: &[&[u8]]) -> Self {
        let mut bytes = *derived("vouchers", parts).as_bytes();
        bytes[..VOUCHERS_MARK.len()].copy_from_slice(&VOUCHERS_MARK);
        CustomerId(Uuid::from_bytes(bytes))
    }

    /// Any UUID.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        CustomerId(id)
    }

    /// As a UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

/// The id of an event: a UUID of version 8, derived from what the event is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// The id of the fact that a source of a tenant calls `key`: the same each time it is sent.
    #[must_use]
    pub fn of_fact(tenant: &TenantId, source: &Source, key: &str) -> Self {
        EventId(derived("fact", &[tenant.as_str().as_bytes(), source.as_str().as_bytes(), key.as_bytes()]))
    }

    /// The id of a fact that its source has no key for: the `ordinal`th, from 0, of those with this content.
    #[must_use]
    pub fn of_content(tenant: &TenantId, source: &Source, content: &str, ordinal: u64) -> Self {
        let (tenant, source) = (tenant.as_str().as_bytes(), source.as_str().as_bytes());
        EventId(derived("content", &[tenant, source, &ordinal.to_be_bytes(), content.as_bytes()]))
    }

    /// The id of the `ordinal`th decision of a customer.
    #[must_use]
    pub fn of_decision(customer: CustomerId, ordinal: u64) -> Self {
        EventId(derived("decision", &[customer.0.as_bytes(), &ordinal.to_be_bytes()]))
    }

    /// The id of an entry of a tenant's audit log.
    #[must_use]
    pub fn of_audit(tenant: &TenantId, sequence: u64) -> Self {
        EventId(derived("audit", &[tenant.as_str().as_bytes(), &sequence.to_be_bytes()]))
    }

    /// Any UUID.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        EventId(id)
    }

    /// As a UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

macro_rules! shown_as_uuid {
    ($($name:ident),*) => {$(
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map($name)
            }
        }
    )*};
}
shown_as_uuid!(CustomerId, EventId);

/// A UUID of version 8 over a domain and parts, each part with its length before it so that no two
/// lists of parts look alike.
fn derived(domain: &str, parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    hash.update([domain.len() as u8]);
    hash.update(domain.as_bytes());
    for part in parts {
        hash.update((part.len() as u32).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// SHA-256 of something, printed in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(#[serde(with = "hex_bytes")] [u8; 32]);

impl Digest {
    /// Of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Digest(Sha256::digest(bytes).into())
    }

    /// A digest that was computed elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Digest(bytes)
    }

    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    let digits = text.as_bytes();
    let pairs = digits.chunks_exact(2).map(|pair| Some((nibble(pair[0])? * 16 + nibble(pair[1])?) as u8));
    digits.len().is_multiple_of(2).then(|| pairs.collect())?
}

/// A fixed number of bytes: hexadecimal in formats that people read, and as they are elsewhere.
pub(crate) mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.serialize_str(&super::to_hex(bytes)) } else { to.serialize_bytes(bytes) }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(from: D) -> Result<[u8; N], D::Error> {
        let of_length = |bytes: &[u8]| bytes.try_into().map_err(|_| D::Error::custom(format!("not {N} bytes")));
        if from.is_human_readable() {
            let text = <std::borrow::Cow<'_, str>>::deserialize(from)?;
            of_length(&super::from_hex(&text).ok_or_else(|| D::Error::custom("not hexadecimal"))?)
        } else {
            of_length(<&[u8]>::deserialize(from)?)
        }
    }
}

/// Any number of bytes as hexadecimal text.
pub(crate) mod hex_vec {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::to_hex(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(from)?;
        super::from_hex(&text).ok_or_else(|| D::Error::custom("not hexadecimal"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_has_the_same_id_each_time_and_parts_do_not_run_together() {
        let tenant = TenantId::default();
        let id = |source: &str, key: &str| EventId::of_fact(&tenant, &Source::new(source).unwrap(), key);
        assert_eq!(id("web", "1"), id("web", "1"));
        assert_ne!(id("web", "11"), id("web1", "1"));
        assert_ne!(EventId::of_fact(&TenantId::new("b").unwrap(), &Source::new("web").unwrap(), "1"), id("web", "1"));
    }

    #[test]
    fn customer_ids_sort_by_creation() {
        let at = |ms| Timestamp::from_millis(ms).unwrap();
        assert!(CustomerId::new(at(1), [255; 10]) < CustomerId::new(at(2), [0; 10]));
        assert_eq!(CustomerId::new(at(-5), [7; 10]), CustomerId::new(at(0), [7; 10]));
    }

    #[test]
    fn digests_survive_both_kinds_of_format() {
        let digest = Digest::of(b"crm");
        let text = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&text).unwrap(), digest);
        let bytes = postcard::to_stdvec(&digest).unwrap();
        assert_eq!(postcard::from_bytes::<Digest>(&bytes).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>("\"zz\"").is_err());
    }
}
