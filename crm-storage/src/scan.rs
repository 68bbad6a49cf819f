//! Reading customers without their states, for stores that have no better way than to read each.

use crm_core::{CustomerId, SmolStr, TenantId};

use crate::error::StorageError;
use crate::row::{OutputScores, Parts, Scanned, ScannedRow, ScoreRow, ScoresAsked};
use crate::selection::Selection;
use crate::store::Store;

/// Scans a page by the other methods of a store.
pub(crate) async fn by_reading<S: Store + ?Sized>(
    store: &S,
    tenant: &TenantId,
    after: Option<CustomerId>,
    limit: usize,
    scores: Option<&ScoresAsked>,
) -> Result<Scanned, StorageError> {
    let ids = store.select(tenant, &Selection::EVERYBODY, after, limit.max(1)).await?;
    // What is read after the version is no older than it.
    let loaded = store.load(tenant, &ids).await?;
    let parts = Parts { traits: true, scores: scores.is_some(), ..Parts::default() };
    let details = store.details(tenant, &ids, parts).await?;
    let rows = loaded.rows.into_iter().zip(details).filter_map(|(row, details)| {
        let (row, details) = (row?, details?);
        let of = |scores: &ScoresAsked| scores.of(&details.scores);
        let scores = scores.map(of).unwrap_or_default();
        Some(ScannedRow {
            customer: row.customer,
            version: row.version,
            shape: row.state.shape,
            traits: details.traits,
            scores,
        })
    });
    Ok(Scanned { rows: rows.collect(), definitions: loaded.definitions })
}

impl ScoresAsked {
    /// What a customer's scores, in the order in which stores give them, come to.
    #[must_use]
    pub fn of(&self, scores: &[ScoreRow]) -> Vec<OutputScores> {
        let of_output = |output: &SmolStr| {
            let own = scores.iter().filter(move |score| score.plugin == self.plugin && score.output == *output);
            let known = own.clone().find(|score| score.at == self.at).cloned();
            OutputScores { instants: own.map(|score| score.at).collect(), known }
        };
        self.outputs.iter().map(of_output).collect()
    }
}
