//! Points over a history or the whole base: statements, the trial balance, what is still to be redeemed, and what comes
//! from another system.
//!
//! The reports read postings and no states, so that they can be asked of any past instant, and so that they are a
//! check of the states. Of somebody who was merged, each member's own history is read once.

mod balances;
mod import;
mod liability;
mod points;
mod statement;
mod trial_balance;

use std::collections::BTreeMap;

use crm_core::customer::Refusal;
use crm_core::event::Event;
use crm_core::loyalty::report::Posted;
use crm_core::loyalty::{LoyaltyError, Program, ProgramId};
use crm_core::{CustomerId, Definition, Definitions, Timestamp};
use crm_storage::{Entries, Entry};

pub use balances::{
    BalanceRow, ExpectedPoints, ImportDifference, ImportProblem, ImportProblemKind, ImportStep, ImportedBalance,
    PROBLEMS_MAX, PointsImport, PointsImportChecked, PointsImportError, PointsImported, UnknownCustomers,
};
pub use statement::Statement;

use super::value::Walk;
use super::{Crm, PAGE, decode_event};
use crate::error::Error;

/// The kind under which postings are stored.
const POSTED: &str = "points_posted";

impl Crm {
    /// The postings of a programme in one history, in the order in which they were recorded.
    async fn postings_of(&self, customer: CustomerId, program: &ProgramId) -> Result<Vec<Event>, Error> {
        let mut postings = Vec::new();
        let mut after = None;
        loop {
            let page = self.store().history(&self.tenant, customer, Entries::Events, after, PAGE).await?;
            for row in page.rows {
                let Entry::Event(row) = row else { continue };
                // Nothing else need be read.
                if row.kind == POSTED {
                    let event = decode_event(customer, row)?;
                    if Posted::of(&event).is_some_and(|posted| posted.posting.program == *program) {
                        postings.push(event);
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(postings);
            }
        }
    }
}

/// The histories of everybody, one after the other.
struct Histories<'c> {
    walk: Walk<'c>,
    /// Whose histories of the page are still to be read, the last first.
    members: Vec<CustomerId>,
    read: u64,
}

impl<'c> Histories<'c> {
    const fn of(walk: Walk<'c>) -> Self {
        Histories { walk, members: Vec::new(), read: 0 }
    }

    /// The next history's postings; none at the end.
    async fn next(&mut self, crm: &Crm, program: &ProgramId) -> Result<Option<Vec<Event>>, Error> {
        while self.members.is_empty() {
            let page = self.walk.next().await?;
            if page.is_empty() {
                return Ok(None);
            }
            self.members = page.iter().flat_map(|customer| customer.members()).collect();
            self.members.reverse();
        }
        let Some(member) = self.members.pop() else { return Ok(None) };
        self.read += 1;
        crm.postings_of(member, program).await.map(Some)
    }
}

fn no_program(program: &ProgramId) -> Error {
    Error::Refused(Refusal::Loyalty(LoyaltyError::NoProgram { program: program.clone() }))
}

/// Refuses a programme that there never was.
fn known(definitions: &Definitions, program: &ProgramId) -> Result<(), Error> {
    definitions.program_ids().any(|known| known == program).then_some(()).ok_or_else(|| no_program(program))
}

/// The programme as it was at an instant; where it was ended by then, as it was last.
fn as_of<'d>(definitions: &'d Definitions, id: &ProgramId, at: Timestamp) -> Option<&'d Program> {
    let last = || {
        let versions = definitions.all().iter().filter(|version| version.from <= at);
        let own = versions.filter_map(|version| {
            let Definition::Program(name, Some(program)) = &version.definition else { return None };
            (name == id).then_some((version.from, program))
        });
        // Of those that begin together the one that was told last.
        own.enumerate().map(|(place, (from, program))| ((from, place), program)).collect::<BTreeMap<_, _>>()
    };
    definitions.program(id, at).or_else(|| last().into_values().next_back())
}
