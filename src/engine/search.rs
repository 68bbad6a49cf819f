//! Searching by name, e-mail address, telephone and member number. The store knows keyed hashes of grams; who
//! has them is unsealed here and ranked.

use std::collections::BTreeSet;

use crm_core::CustomerId;
use crm_core::profile::{Asked, Card, Field, Matched, SearchQuery, Searchable};
use crm_storage::Selection;

use super::Crm;
use crate::error::Error;

/// Somebody who was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Who.
    pub customer: CustomerId,
    /// How well they match, in thousandths; 1,000 is the very text.
    pub score: u16,
    /// What matched, and how well, the best first.
    pub matched: Vec<(Asked, Matched)>,
}

/// How many candidates of one question to the store are unsealed and ranked at most.
pub const CANDIDATES_MAX: usize = 200;
/// How many cards are read at once. SQLite reads longer lists by its one writer, behind whoever writes.
const CARDS_AT_ONCE: usize = 32;

impl Crm {
    /// Customers whose card matches a question, the best first and of equals the older first, at most `limit`
    /// of them. Whoever has the very words comes first, then whose words begin so, then whose words have them
    /// within, then whose words are but for a letter or two.
    ///
    /// The store is asked for each of these in turn until there are enough. Each time four candidates for each
    /// answer are unsealed and ranked, at least 64 and at most 200, those with the oldest ids: of many who share a
    /// common name not all are seen. Ask for more words then.
    ///
    /// # Errors
    ///
    /// `LookupKey` if the store was made with another one, `Personal` if the host's keys failed, `Storage` if the
    /// store failed. Whose values cannot be opened is left out.
    pub async fn search(&self, query: &SearchQuery, limit: usize) -> Result<Vec<Found>, Error> {
        self.check_lookup_key().await?;
        let limit = limit.clamp(1, CANDIDATES_MAX);
        let candidates = (limit * 4).clamp(64, CANDIDATES_MAX);
        let mut seen: BTreeSet<CustomerId> = BTreeSet::new();
        let mut found = Vec::new();
        for step in query.steps() {
            for grams in step {
                let tokens = grams.iter().map(|gram| Selection::Found(self.token(gram))).collect();
                let selection = Selection::All(tokens);
                let mut ids = self.store().select(&self.tenant, &selection, None, candidates).await?;
                ids.retain(|id| seen.insert(*id));
                for some in ids.chunks(CARDS_AT_ONCE) {
                    let cards = self.read_files(some, Field::is_searched, false).await?;
                    for (customer, tellings) in some.iter().zip(cards) {
                        let card = Card::new(tellings.unwrap_or_default());
                        if let Some(hit) = query.rank(&Searchable::of(&card)) {
                            found.push(Found { customer: *customer, score: hit.score, matched: hit.matched });
                        }
                    }
                }
            }
            if found.len() >= limit {
                break;
            }
        }
        found.sort_unstable_by(|a, b| b.score.cmp(&a.score).then_with(|| a.customer.cmp(&b.customer)));
        self.follow_merged(found, limit).await
    }

    /// Whoever was merged is found once, as the one under whose id they go on.
    async fn follow_merged(&self, found: Vec<Found>, limit: usize) -> Result<Vec<Found>, Error> {
        let mut heads: BTreeSet<CustomerId> = BTreeSet::new();
        let mut answer = Vec::with_capacity(limit.min(found.len()));
        for some in found.chunks(limit) {
            let ids: Vec<CustomerId> = some.iter().map(|found| found.customer).collect();
            let loaded = self.store().load(&self.tenant, &ids).await?;
            let definitions = self.definitions_at(loaded.definitions).await?;
            for (hit, row) in some.iter().zip(loaded.rows) {
                let Some(row) = row else { continue };
                let base = self.decode(&row, &definitions).await?;
                let customer = match base.customer.merged_into() {
                    Some(_) => self.whole(base, &definitions).await?.customer.id(),
                    None => hit.customer,
                };
                if heads.insert(customer) {
                    answer.push(Found { customer, ..hit.clone() });
                }
                if answer.len() == limit {
                    return Ok(answer);
                }
            }
        }
        Ok(answer)
    }
}
