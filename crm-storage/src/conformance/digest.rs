//! A digest of everything that a store shows: two stores that were told the same have the same.

use std::fmt::Write as _;
use std::sync::Arc;

use crm_core::{Digest, SmolStr, TenantId};

use super::shop::Shop;
use crate::commit::{ClaimKey, Token};
use crate::store::Store;

/// What can only be asked for by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Whose rows.
    pub tenants: Vec<TenantId>,
    /// Unique keys.
    pub claims: Vec<ClaimKey>,
    /// Counters.
    pub counters: Vec<SmolStr>,
    /// Search tokens.
    pub tokens: Vec<Token>,
}

/// A digest of all that tenants see: customers with their versions, states, histories and details, who is
/// found by which token, alarms, the outbox, dead letters, definitions, and who has which key. What each
/// store chooses for itself, such as cursors, lease tokens and the lanes of the feed, is not in it.
///
/// Leases every outbox entry for no time: the attempts are counted, and tokens from before are stale.
pub async fn digest(store: &Arc<dyn Store>, names: &Names) -> Digest {
    let mut text = String::new();
    for tenant in &names.tenants {
        let shop = Shop { store: Arc::clone(store), tenant: tenant.clone() };
        let owners = shop.resolve(&names.claims).await;
        let mut counters = Vec::with_capacity(names.counters.len());
        for name in &names.counters {
            counters.push(shop.counter(name).await);
        }
        let mut found = Vec::with_capacity(names.tokens.len());
        for token in &names.tokens {
            found.push(shop.found(*token).await);
        }
        let seen = shop.kept(100).await;
        let outbox = shop.lease(crm_core::Timestamp::MAX.as_millis(), 0, usize::MAX).await;
        let outbox: Vec<_> = outbox.into_iter().map(|leased| (leased.entry, leased.attempt)).collect();
        writeln!(text, "{tenant:?} {seen:?} {outbox:?} {owners:?} {counters:?} {found:?}")
            .expect("a string can be written to");
    }
    Digest::of(text.as_bytes())
}
