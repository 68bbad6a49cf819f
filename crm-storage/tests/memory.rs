//! The memory store keeps every promise of the contract.

crm_storage::conformance!(|| async { crm_storage::MemoryStore::new() });
