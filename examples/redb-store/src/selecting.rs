//! Choosing customers: redb has no query language, so each is asked.

use std::cell::RefCell;
use std::ops::Bound;

use crm_core::CustomerId;
use crm_storage::{Selectable, Selection, Token, Traits};
use redb::ReadOnlyTable;
use uuid::Uuid;

use crate::fault::Fault;
use crate::parts::{self, ScoreParts};
use crate::reading::Reading;
use crate::tables::{SCORES, TOKENS, TRAITS};

/// Walks a tenant's customers behind `after` in the order of their ids, and hands on those who are meant, as
/// long as `found` wants more.
pub(crate) fn walk(
    Reading { tenant, transaction }: Reading<'_>,
    selection: &Selection,
    after: Option<CustomerId>,
    mut found: impl FnMut(CustomerId) -> bool,
) -> Result<(), Fault> {
    let traits = transaction.open_table(TRAITS)?;
    let asked = Asked {
        tenant,
        scores: transaction.open_table(SCORES)?,
        tokens: transaction.open_table(TOKENS)?,
        fault: RefCell::new(None),
    };
    let first = after.map_or(Bound::Included((tenant, Uuid::nil())), |id| Bound::Excluded((tenant, *id.as_uuid())));
    for row in traits.range((first, Bound::Included((tenant, Uuid::max()))))? {
        let (key, traits) = row?;
        let (_, id) = key.value();
        let holds = selection.holds(&Candidate { id, traits: parts::traits(traits.value())?, asked: &asked });
        if let Some(fault) = asked.fault.take() {
            return Err(fault);
        }
        if holds && !found(CustomerId::from_uuid(id)) {
            break;
        }
    }
    Ok(())
}

/// Where a candidate's scores and tokens are looked up, when the selection asks for them.
struct Asked<'t> {
    tenant: &'t str,
    scores: ReadOnlyTable<(&'static str, Uuid, &'static str, &'static str, i64), ScoreParts<'static>>,
    tokens: ReadOnlyTable<(&'static str, Uuid, &'static [u8; 16]), ()>,
    /// A look-up answers no `Result`; what failed is left here.
    fault: RefCell<Option<Fault>>,
}

impl Asked<'_> {
    fn or_fault<T: Default>(&self, answer: Result<T, redb::StorageError>) -> T {
        answer.unwrap_or_else(|error| {
            self.fault.replace(Some(error.into()));
            T::default()
        })
    }
}

struct Candidate<'w> {
    id: Uuid,
    traits: Traits,
    asked: &'w Asked<'w>,
}

impl Selectable for Candidate<'_> {
    fn traits(&self) -> &Traits {
        &self.traits
    }

    fn score(&self, plugin: &str, output: &str) -> Option<f64> {
        let Asked { tenant, scores, .. } = self.asked;
        let of = |at| (*tenant, self.id, plugin, output, at);
        let newest = scores.range(of(i64::MIN)..=of(i64::MAX)).and_then(|mut scores| scores.next_back().transpose());
        self.asked.or_fault(newest).map(|(_, score)| score.value().0)
    }

    fn has_token(&self, token: Token) -> bool {
        let row = self.asked.tokens.get((self.asked.tenant, self.id, &token.0));
        self.asked.or_fault(row).is_some()
    }
}
