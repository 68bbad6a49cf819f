//! The memory store keeps every promise of the contract.

use std::sync::Arc;

use crm_storage::conformance::{Names, block_on, digest, random_history};
use crm_storage::{MemoryStore, Store};

crm_storage::conformance!(|| async { crm_storage::MemoryStore::new() });

fn empty() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

/// The same seed leaves the same rows, and another seed others.
#[test]
fn a_random_history_is_the_same_for_the_same_seed() {
    let history = |seed| block_on(random_history(&empty(), seed));
    assert_eq!(history(1), history(1));
    assert_ne!(history(1), history(2));
}

/// The rows of a tenant who is not named are not in a digest.
#[test]
fn a_digest_is_of_the_tenants_that_are_named() {
    let store = empty();
    block_on(random_history(&store, 1));
    assert_eq!(block_on(digest(&store, &Names::default())), block_on(digest(&empty(), &Names::default())));
    let named = Names { tenants: vec![crm_core::TenantId::new("history a").expect("a name")], ..Names::default() };
    assert_ne!(block_on(digest(&store, &named)), block_on(digest(&empty(), &named)));
}
