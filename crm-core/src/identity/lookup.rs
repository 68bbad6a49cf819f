//! Keyed hashes: what stands for a personal value wherever it is kept or looked up.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{Identifier, IdentifierKind};
use crate::id::{TenantId, hex_bytes};
use crate::workflow::{LookupKeyHash, PluginName, SourceName};

/// The keyed hash of an identifier: what events and look-ups hold in its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdentifierKey {
    /// Which kind of identifier it stands for.
    pub kind: IdentifierKind,
    /// The first 16 bytes of HMAC-SHA-256.
    #[serde(with = "hex_bytes")]
    pub hash: [u8; 16],
}

impl std::fmt::Debug for IdentifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.kind.name())?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The keyed hash of who issued an identifier: the system, the service or the OpenID issuer. Two keys of
/// one system contradict each other, and two of different systems do not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeKey(#[serde(with = "hex_bytes")] [u8; 8]);

impl ScopeKey {
    /// A hash that was computed elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        ScopeKey(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl std::fmt::Debug for ScopeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The secret under which identifiers are hashed (HMAC, RFC 2104). Whoever lacks it cannot find out
/// whether somebody is in a database that fell into their hands.
#[derive(Clone)]
pub struct LookupKey(Hmac<Sha256>);

impl LookupKey {
    /// From 32 secret bytes, which have to stay the same as long as the database lives.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        // HMAC pads a key that is shorter than a block with zeros.
        let mut block = [0_u8; 64];
        block[..32].copy_from_slice(secret);
        LookupKey(Hmac::new(&block.into()))
    }

    /// A key that everybody knows. With it look-ups work and hide nothing: for tests, demonstrations,
    /// and shops whose database is as well guarded as a key would be.
    #[must_use]
    pub fn public() -> Self {
        Self::new(b"crm: this look-up key is public!")
    }

    /// The hash that stands for an identifier within a tenant.
    #[must_use]
    pub fn hash(&self, tenant: &TenantId, identifier: &Identifier) -> IdentifierKey {
        let hash = self.short(&[
            tenant.as_str(),
            identifier.kind.name(),
            identifier.scope.as_str(),
            identifier.value.as_str(),
        ]);
        IdentifierKey { kind: identifier.kind, hash }
    }

    /// The hash of who issued an identifier; none for kinds that nobody in particular issues.
    #[must_use]
    pub fn scope(&self, tenant: &TenantId, identifier: &Identifier) -> Option<ScopeKey> {
        if identifier.scope.is_empty() {
            return None;
        }
        let digest = self.apart("scope", &[tenant.as_str(), identifier.kind.name(), identifier.scope.as_str()]);
        let mut hash = [0; 8];
        hash.copy_from_slice(&digest[..8]);
        Some(ScopeKey(hash))
    }

    /// The hash under which an address is kept on a list of those that are not to be written to. It has
    /// nothing in common with [`hash`](Self::hash), so that the list cannot be joined with customers, and
    /// outlives their erasure.
    #[must_use]
    pub fn suppression(&self, tenant: &TenantId, identifier: &Identifier) -> [u8; 16] {
        self.apart(
            "suppression",
            &[tenant.as_str(), identifier.kind.name(), identifier.scope.as_str(), identifier.value.as_str()],
        )
    }

    /// A blind token for a piece of text, such as an n-gram of a name, under which it can be searched for.
    /// Tokens of different purposes have nothing in common. The text is taken as it is.
    #[must_use]
    pub fn token(&self, tenant: &TenantId, purpose: &str, text: &str) -> [u8; 16] {
        self.apart("token", &[tenant.as_str(), purpose, text])
    }

    /// What something is called to a plugin, such as a customer by their id, an event, or an order by its number. It is
    /// always the same for one plugin, and two plugins cannot tell that they were told of the same thing. `what` says
    /// what it is, so that things of two kinds have nothing in common.
    #[must_use]
    pub fn pseudonym(&self, tenant: &TenantId, plugin: &PluginName, what: &'static str, text: &str) -> [u8; 16] {
        self.apart("plugin", &[tenant.as_str(), plugin.as_str(), what, text])
    }

    /// The hash that stands for a key that was looked up in a source.
    #[must_use]
    pub fn lookup(&self, tenant: &TenantId, source: &SourceName, key: &str) -> LookupKeyHash {
        LookupKeyHash::from_bytes(self.apart("lookup", &[tenant.as_str(), source.as_str(), key]))
    }

    /// A value by which a store can tell that it is opened with the key it was made with.
    #[must_use]
    pub fn check_value(&self) -> [u8; 32] {
        self.digest(&["check value"])
    }

    /// A keyed hash of a text within a tenant, for one use that is named: whoever lacks the key can neither make
    /// nor guess one. Tags of different uses have nothing in common.
    #[must_use]
    pub fn tag(&self, tenant: &TenantId, usage: &'static str, text: &str) -> [u8; 32] {
        self.digest(&["", "tag", usage, tenant.as_str(), text])
    }

    /// The hash of parts in a domain of its own. No tenant is empty, so the empty part before the domain
    /// sets it apart from the hashes of identifiers.
    fn apart(&self, domain: &str, parts: &[&str]) -> [u8; 16] {
        let all: Vec<&str> = ["", domain].into_iter().chain(parts.iter().copied()).collect();
        self.short(&all)
    }

    fn short(&self, parts: &[&str]) -> [u8; 16] {
        let mut hash = [0; 16];
        hash.copy_from_slice(&self.digest(parts)[..16]);
        hash
    }

    fn digest(&self, parts: &[&str]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u32).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for LookupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LookupKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::ExternalSystem;

    #[test]
    fn the_hash_depends_on_key_tenant_kind_and_value() {
        let (one, other) = (TenantId::default(), TenantId::new("b").unwrap());
        let erp = ExternalSystem::new("erp").unwrap();
        let id = Identifier::external(&erp, "7").unwrap();
        let key = LookupKey::public();
        assert_eq!(key.hash(&one, &id), key.hash(&one, &id));
        assert_ne!(key.hash(&one, &id), key.hash(&other, &id));
        assert_ne!(key.hash(&one, &id), LookupKey::new(&[1; 32]).hash(&one, &id));
        assert_ne!(key.hash(&one, &id).hash, key.hash(&one, &Identifier::device("7").unwrap()).hash);
    }

    #[test]
    fn the_hash_of_an_address_is_the_one_that_stores_hold() {
        let key = LookupKey::public().hash(&TenantId::default(), &Identifier::email("Ana@Example.com").unwrap());
        assert_eq!(format!("{key:?}"), "email:7d7ee168b192162c90b76a9a11e192a7");
    }

    #[test]
    fn no_two_purposes_share_a_hash() {
        let key = LookupKey::public();
        let tenant = TenantId::new("token").unwrap();
        let id = Identifier::email("ana@example.com").unwrap();
        let all = [
            key.hash(&tenant, &id).hash,
            key.suppression(&tenant, &id),
            key.token(&tenant, "email", "ana@example.com"),
            key.token(&tenant, "name", "ana@example.com"),
            key.token(&TenantId::new("email").unwrap(), "", "ana@example.com"),
            key.pseudonym(&tenant, &PluginName::new("email").unwrap(), "customer", "ana@example.com"),
            key.pseudonym(&tenant, &PluginName::new("name").unwrap(), "customer", "ana@example.com"),
            key.pseudonym(&tenant, &PluginName::new("name").unwrap(), "order", "ana@example.com"),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn keys_of_one_system_have_one_scope() {
        let (key, tenant) = (LookupKey::public(), TenantId::default());
        let of = |system, number| {
            key.scope(&tenant, &Identifier::external(&ExternalSystem::new(system).unwrap(), number).unwrap())
        };
        assert_eq!(of("erp", "1"), of("erp", "2"));
        assert_ne!(of("erp", "1"), of("web", "1"));
        assert_eq!(key.scope(&tenant, &Identifier::email("ana@example.com").unwrap()), None);
    }
}
