//! The public conformance suite: every promise of [`Store`] as a test case over any store.
//!
//! A backend of your own passes it with three lines in its tests; a case that fails names the promise
//! that is broken.
//!
//! ```
//! // In tests/conformance.rs, with the feature `conformance` of this crate:
//! crm_storage::conformance!(|| async { crm_storage::MemoryStore::new() });
//! ```
//!
//! [`cases`] gives the same cases as data, for a runner of your own. [`digest`] and [`random_history`] are
//! for comparing two stores byte by byte.
//!
//! A store that keeps its rows when it is closed implements [`Fixture`] instead of giving a closure, so
//! that the suite can close and open it. Each case is an `async fn` that panics when the promise is
//! broken; it needs no runtime of a certain kind.

mod cases;
mod dice;
mod digest;
mod model;
mod random_selection;
mod sample;
mod shop;

pub mod alarms;
pub mod atomicity;
pub mod claims;
pub mod concurrency;
pub mod counters;
pub mod cursors;
pub mod dead_letters;
pub mod definitions;
pub mod enrolling;
pub mod erasing;
pub mod extremes;
pub mod feed;
pub mod idempotency;
pub mod judging;
pub mod loading;
pub mod outbox;
pub mod paging;
pub mod personal;
pub mod random;
pub mod releases;
pub mod reopening;
pub mod scanning;
pub mod scores;
pub mod selections;
pub mod tenants;

use std::sync::Arc;

use async_trait::async_trait;

pub use crate::block_on::block_on;
use crate::store::Store;
pub use cases::{Case, CaseFuture, cases};
pub use digest::{Names, digest};
pub use random::random_history;

/// Makes stores for the cases. Each case has a fixture of its own, and asks it for one store.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A store with nothing in it.
    async fn fresh(&self) -> Arc<dyn Store>;

    /// Closes the store that `fresh` gave, and opens what it kept again. None if it keeps nothing: the
    /// cases about reopening then have nothing to check.
    async fn reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        drop(store);
        None
    }
}

#[async_trait]
impl<F, O, S> Fixture for F
where
    F: Fn() -> O + Send + Sync,
    O: Future<Output = S> + Send,
    S: Store,
{
    async fn fresh(&self) -> Arc<dyn Store> {
        Arc::new(self().await)
    }
}

#[cfg(test)]
mod tests {
    /// A case that is written and not declared would never run.
    #[test]
    fn every_case_is_declared() {
        let declared = include_str!("cases.rs");
        for (group, source) in [
            ("alarms", include_str!("alarms.rs")),
            ("atomicity", include_str!("atomicity.rs")),
            ("claims", include_str!("claims.rs")),
            ("concurrency", include_str!("concurrency.rs")),
            ("counters", include_str!("counters.rs")),
            ("cursors", include_str!("cursors.rs")),
            ("dead_letters", include_str!("dead_letters.rs")),
            ("definitions", include_str!("definitions.rs")),
            ("erasing", include_str!("erasing.rs")),
            ("extremes", include_str!("extremes.rs")),
            ("feed", include_str!("feed.rs")),
            ("idempotency", include_str!("idempotency.rs")),
            ("judging", include_str!("judging.rs")),
            ("loading", include_str!("loading.rs")),
            ("outbox", include_str!("outbox.rs")),
            ("paging", include_str!("paging.rs")),
            ("personal", include_str!("personal.rs")),
            ("random", include_str!("random.rs")),
            ("releases", include_str!("releases.rs")),
            ("reopening", include_str!("reopening.rs")),
            ("scanning", include_str!("scanning.rs")),
            ("scores", include_str!("scores.rs")),
            ("selections", include_str!("selections.rs")),
            ("tenants", include_str!("tenants.rs")),
        ] {
            for line in source.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
                let Some((case, _)) = line.split_once("(fixture") else { continue };
                assert!(declared.contains(&format!("{group}::{case},")), "{group}::{case} is not declared");
            }
        }
    }
}
