//! A tenant's definitions, and how a reader learns that there are new ones.

use std::sync::Arc;

use super::sample::customer;
use super::shop::Shop;
use super::{Fixture, block_on};
use crate::error::DefineError;
use crate::row::DefinitionRows;

/// They come in the order in which they were added, and each raises the revision by one.
pub async fn definitions_come_in_the_order_in_which_they_were_added(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let (store, tenant) = (&shop.store, &shop.tenant);
    assert_eq!(store.definitions(tenant).await.expect("the store reads definitions"), DefinitionRows::default());
    let bodies = [b"{}".to_vec(), Vec::new(), vec![0, 255], b"{}".to_vec()];
    for (revision, body) in bodies.iter().enumerate() {
        let revision = revision as u64;
        assert_eq!(store.define(tenant, revision, body.clone()).await.expect("it is added"), revision + 1);
        let loaded = store.load(tenant, &[customer(1)]).await.expect("the store loads");
        assert_eq!(loaded.definitions, revision + 1, "each load says how recent they are");
    }
    let rows = store.definitions(tenant).await.expect("the store reads definitions");
    assert_eq!(rows, DefinitionRows { revision: 4, rows: bodies.to_vec() });
}

/// Whoever did not see the latest is told so, and adds nothing.
pub async fn a_definition_on_another_revision_is_a_conflict(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    let (store, tenant) = (&shop.store, &shop.tenant);
    let refused = async |expected| match store.define(tenant, expected, b"late".to_vec()).await {
        Err(DefineError::Conflict { actual }) => actual,
        other => unreachable!("it should be a conflict: {other:?}"),
    };
    assert_eq!(refused(1).await, 0);
    store.define(tenant, 0, b"first".to_vec()).await.expect("it is added");
    for expected in [0, 2, u64::MAX] {
        assert_eq!(refused(expected).await, 1);
    }
    let rows = store.definitions(tenant).await.expect("the store reads definitions");
    assert_eq!(rows, DefinitionRows { revision: 1, rows: vec![b"first".to_vec()] });
}

/// Of 8 that are added to one revision at once, one is.
pub async fn definitions_added_at_once_are_added_one_by_one(fixture: &dyn Fixture) {
    let shop = Shop::open(fixture).await;
    for round in 0..10 {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (store, tenant) = (Arc::clone(&shop.store), shop.tenant.clone());
                std::thread::spawn(move || block_on(store.define(&tenant, round, b"{}".to_vec())).is_ok())
            })
            .collect();
        let added = threads.into_iter().map(|thread| thread.join().expect("no thread panics"));
        assert_eq!(added.filter(|added| *added).count(), 1);
    }
}
