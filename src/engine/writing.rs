//! What one decision writes: a commit, and what the audit log has of it. Neither is there without the other.

use crm_core::CustomerId;
use crm_core::audit::{AuditAction, AuditActor, AuditEntry};
use crm_core::change::Change;
use crm_storage::{Commit, Committed, Expected, Version};

use super::sharing::add_write;
use super::{Base, Crm, Settled};
use crate::error::Error;
use crate::plan::{Plan, Refused};

/// A commit in the making, and the entries of the audit log that go with it.
#[derive(Debug, Default)]
pub(super) struct Writing {
    pub(super) commit: Commit,
    entries: Vec<AuditEntry>,
}

impl From<Commit> for Writing {
    fn from(commit: Commit) -> Self {
        Writing { commit, entries: Vec::new() }
    }
}

impl Writing {
    /// Whether the audit log has anything of it: then it is committed by itself, since entries of one log form a chain.
    pub(super) const fn is_noted(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Has the audit log note something with it.
    pub(super) fn note(&mut self, entries: impl IntoIterator<Item = AuditEntry>) {
        self.entries.extend(entries);
    }

    /// What is planned for one customer, and what moves. What plugins were kept from is noted.
    pub(super) fn of(
        plan: Plan,
        expected: Expected,
        others: &[(CustomerId, Version)],
    ) -> Result<(Self, Vec<Change>), Error> {
        let customer = plan.customer.id();
        let (commit, changes, refused) = plan.into_commit(expected, others);
        Ok((Writing { commit, entries: refusals(customer, refused)? }, changes))
    }

    /// Adds what else belongs to the same decision.
    pub(super) fn add(&mut self, more: Writing) {
        let Commit { request: _, writes, releases, claims, counters, outbox, dead_letters } = more.commit;
        let commit = &mut self.commit;
        writes.into_iter().for_each(|write| add_write(&mut commit.writes, write));
        commit.releases.extend(releases);
        commit.claims.extend(claims);
        commit.counters.extend(counters);
        commit.outbox.extend(outbox);
        commit.dead_letters.extend(dead_letters);
        self.entries.extend(more.entries);
    }
}

/// One entry for each plugin and reason.
fn refusals(customer: CustomerId, refused: Refused) -> Result<Vec<AuditEntry>, Error> {
    let entry = |((plugin, what), why): ((_, &str), String)| {
        let entry = AuditEntry::new(AuditActor::Plugin(plugin), AuditAction::PluginRefused).about(customer);
        Ok(entry.with_text("what", what)?.with_text("why", &why)?)
    };
    refused.into_iter().map(entry).collect()
}

impl Crm {
    /// A plan for one customer, to be committed with what leads to them by it; and what moves.
    pub(super) async fn written(&self, mut plan: Plan, base: &Base) -> Result<(Writing, Vec<Change>), Error> {
        self.lead_on(&mut plan).await?;
        Writing::of(plan, base.expected, &base.others)
    }

    /// Adds a plan for one more customer.
    pub(super) async fn write(&self, writing: &mut Writing, plan: Plan, base: &Base) -> Result<Vec<Change>, Error> {
        let (more, changes) = self.written(plan, base).await?;
        writing.add(more);
        Ok(changes)
    }

    /// Commits what belongs to one decision.
    pub(super) async fn settle(&self, writing: impl Into<Writing> + Send) -> Result<Settled, Error> {
        Ok(self.settle_noted(writing).await?.0)
    }

    /// Commits what belongs to one decision and has no answer of its own; `false` if another writer was first: then it is to
    /// be decided anew.
    pub(super) async fn try_settle(&self, writing: impl Into<Writing> + Send) -> Result<bool, Error> {
        match self.settle(writing).await? {
            Settled::Done | Settled::Replayed(_) => Ok(true),
            Settled::Refused(error) if error.is_lost_race() => self.lost().map(|()| false),
            Settled::Refused(error) => Err(Error::corrupt(error)),
        }
    }

    /// The same as [`settle`](Self::settle); gives the number of the last entry of the audit log besides, if there is any.
    pub(super) async fn settle_noted(
        &self,
        writing: impl Into<Writing> + Send,
    ) -> Result<(Settled, Option<u64>), Error> {
        let Writing { mut commit, entries } = writing.into();
        if entries.is_empty() {
            return Ok((self.commit_alone(commit).await?, None));
        }
        // Boxed, so that it takes no room on the stack of all who write and note nothing.
        Box::pin(async {
            let _turn = self.audit_turn().lock().await;
            let (last, write) = self.audit_write(entries).await?;
            commit.writes.push(write);
            Ok((self.commit_alone(commit).await?, last))
        })
        .await
    }

    async fn commit_alone(&self, commit: Commit) -> Result<Settled, Error> {
        let answers = self.store().commit(&self.tenant, vec![commit]).await?;
        match answers.into_iter().next() {
            Some(Ok(Committed::Done { .. })) => Ok(Settled::Done),
            Some(Ok(Committed::Replayed { answer })) => Ok(Settled::Replayed(answer)),
            Some(Err(error)) => Ok(Settled::Refused(error)),
            None => Err(Error::corrupt("a commit without an answer")),
        }
    }
}
