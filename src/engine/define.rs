//! Definitions: kept in the store, read when their revision has moved.

use std::sync::Arc;

use crm_core::audit::{AuditAction, AuditEntry};
use crm_core::event::JsonProblem;
use crm_core::expression::{Predicate, Vocabulary};
use crm_core::segment::Filled;
use crm_core::workflow::PluginName;
use crm_core::{CustomerId, Definition, DefinitionVersion, Definitions, Timestamp};
use crm_storage::DefineError;
use serde::{Deserialize, Serialize};

use super::audit::by_shop;
use super::select::customers;
use super::{ATTEMPTS_MAX, Crm, PAGE};
use crate::error::Error;

/// What is stored among the definitions.
#[allow(clippy::large_enum_variant, reason = "one is made at a time, and dropped when it was read")]
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stored {
    /// The check value of the look-up key that the tenant was made with. It is always the first row.
    LookupKey([u8; 32]),
    Version(DefinitionVersion),
    /// Everybody was asked under these versions of segments: they answer from now on.
    Filled(Vec<Filled>),
    /// Scores of this plugin are kept that were made for a purpose, said by a definition or only when it was loaded.
    MadeForPurposes(PluginName),
}

impl Crm {
    /// Adds a definition that holds from an instant on. The same one again changes nothing and answers
    /// `false`. Customers follow at their next event or alarm; [`refresh`](Self::refresh) makes them
    /// follow at once: call it for a retention policy, because whom it is about may never be heard of again. Such a
    /// policy, and what is granted to a plugin, is noted in the audit log too, right after it was added.
    ///
    /// A segment that is new or changed is to be [filled](Self::fill), unless there are no customers yet: only then
    /// does a changed one answer by its new rule, and a new one for everybody.
    ///
    /// # Errors
    ///
    /// `Definition` if it is malformed, or if a version of the same or a later instant is there: what held
    /// in the past is not rewritten.
    pub async fn define(&self, from: Timestamp, definition: Definition) -> Result<bool, Error> {
        definition.check()?;
        let version = DefinitionVersion { from, definition };
        for _ in 0..ATTEMPTS_MAX {
            let (revision, definitions) = self.latest_definitions().await?;
            let mut definitions = Definitions::clone(&definitions);
            if !definitions.add(version.clone())? {
                return Ok(false);
            }
            if revision == 0 {
                self.sign().await?;
                continue;
            }
            if let Some(revision) = self.append(revision, &Stored::Version(version.clone())).await? {
                self.cache_definitions(revision, Arc::new(definitions));
                self.note_policy(&version).await?;
                self.fill_nobody(&version).await?;
                return Ok(true);
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Reads a rule in the Common Expression Language against what is defined now: see
    /// [the language](crm_core::expression).
    ///
    /// ```
    /// use crm::{Crm, Definition, Error, SegmentName, Timestamp};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let regulars = crm.rule(r#"stage == "purchase" && orders.in_last("90d") >= 3"#).await?;
    /// crm.define(Timestamp::MIN, Definition::Segment(SegmentName::new("regulars")?, Some(regulars))).await?;
    ///
    /// let Err(Error::Expression(wrong)) = crm.rule(r#"segment("regular") && spend > 100"#).await else {
    ///     panic!("there is no such segment")
    /// };
    /// assert_eq!((wrong.line, wrong.column), (1, 9));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Expression` if it cannot be read, with line and column, and the nearest name where one is unknown; `Storage`
    /// if the store failed.
    pub async fn rule(&self, text: &str) -> Result<Predicate, Error> {
        let definitions = self.definitions().await?;
        Ok(Predicate::parse(text, &Vocabulary::of(&definitions, self.now()))?)
    }

    /// Where there are no customers, everybody was asked about a segment.
    async fn fill_nobody(&self, version: &DefinitionVersion) -> Result<(), Error> {
        let now = self.now();
        let Definition::Segment(name, _) = &version.definition else { return Ok(()) };
        if version.from > now || !self.store().select(&self.tenant, &customers(), None, 1).await?.is_empty() {
            return Ok(());
        }
        let groups = self.definitions().await?.unfilled(now);
        let its = groups.into_iter().find(|group| group.iter().any(|one| one.segment == *name));
        match its {
            Some(group) => self.complete(&group, now).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// How long personal data is kept, and what plugins may see and do, is in the audit log, by the definition it was
    /// changed by.
    #[allow(clippy::wildcard_enum_match_arm, reason = "every other definition is about no personal data")]
    async fn note_policy(&self, version: &DefinitionVersion) -> Result<(), Error> {
        let (what, name, in_force) = match &version.definition {
            Definition::Retention(name, policy) => ("retention", name.as_str(), policy.is_some()),
            Definition::Grants(plugin, grants) => ("grants", plugin.as_str(), grants.is_some()),
            _ => return Ok(()),
        };
        let entry = AuditEntry::new(by_shop()?, AuditAction::PolicyChanged)
            .with_text(what, name)?
            .with_text("from", &version.from.to_string())?
            .with_text("is", if in_force { "in force" } else { "ended" })?;
        self.audit(entry).await.map(|_| ())
    }

    /// All definitions with all their versions.
    pub async fn definitions(&self) -> Result<Arc<Definitions>, Error> {
        Ok(self.latest_definitions().await?.1)
    }

    /// Reconsiders every customer under the definitions there are now, those that were added for the past
    /// included: stages, segments, tiers and points follow, and segments are filled by it. Answers how many customers
    /// changed. Costs a read of the whole base with its history: for segments alone [`fill`](Self::fill) does.
    pub async fn refresh(&self) -> Result<u64, Error> {
        let now = self.now();
        let unfilled = self.definitions().await?.unfilled(now);
        let mut changed = 0;
        let mut after: Option<CustomerId> = None;
        loop {
            let rows = self.page_of_customers(after, PAGE).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.customer);
            for row in rows {
                let changes = self.plan_and_commit(row.customer, now, |planner| planner.reconsider()).await?;
                changed += u64::from(changes.is_some_and(|changes| !changes.is_empty()));
            }
        }
        for group in unfilled {
            self.complete(&group, now).await?;
        }
        Ok(changed)
    }

    /// Notes in a new tenant with which look-up key it was made.
    async fn sign(&self) -> Result<(), Error> {
        self.append(0, &Stored::LookupKey(self.inner.lookup_key.check_value())).await.map(|_| ())
    }

    /// The definitions for a write: a tenant that has none yet is signed first.
    pub(super) async fn definitions_to_write(&self, revision: u64) -> Result<Arc<Definitions>, Error> {
        if revision == 0 {
            self.sign().await?;
            return Ok(self.latest_definitions().await?.1);
        }
        self.definitions_at(revision).await
    }

    /// Notes, once for each plugin, that its scores are made for a purpose: from then on stores are not trusted alone with
    /// rules that ask about them. It is noted before the first of them is kept.
    pub(super) async fn note_purposes(&self, plugin: &PluginName) -> Result<(), Error> {
        for _ in 0..ATTEMPTS_MAX {
            let (revision, definitions) = self.latest_definitions().await?;
            if definitions.has_purposes(plugin) {
                return Ok(());
            }
            if revision == 0 {
                self.sign().await?;
                continue;
            }
            if let Some(revision) = self.append(revision, &Stored::MadeForPurposes(plugin.clone())).await? {
                let mut definitions = Definitions::clone(&definitions);
                definitions.note_purposes(plugin.clone());
                self.cache_definitions(revision, Arc::new(definitions));
                return Ok(());
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Whether the tenant was made with this look-up key is found out before anybody is looked up.
    pub(super) async fn check_lookup_key(&self) -> Result<(), Error> {
        self.check_ledger().await?;
        match self.has_definitions() {
            true => Ok(()),
            false => self.latest_definitions().await.map(|_| ()),
        }
    }

    /// The definitions of a revision that the store has just named.
    pub(super) async fn definitions_at(&self, revision: u64) -> Result<Arc<Definitions>, Error> {
        match self.cached_definitions(revision) {
            Some(definitions) => self.check_ledger().await.map(|()| definitions),
            None => Ok(self.latest_definitions().await?.1),
        }
    }

    /// The definitions there are now, read only if their revision has moved.
    pub(super) async fn definitions_now(&self) -> Result<Arc<Definitions>, Error> {
        let revision = self.store().load(&self.tenant, &[]).await?.definitions;
        self.definitions_at(revision).await
    }

    pub(super) async fn latest_definitions(&self) -> Result<(u64, Arc<Definitions>), Error> {
        let stored = self.store().definitions(&self.tenant).await?;
        if let Some(cached) = self.cached_definitions(stored.revision) {
            self.check_ledger().await?;
            return Ok((stored.revision, cached));
        }
        let mut definitions = Definitions::default();
        for row in &stored.rows {
            let row = serde_json::from_slice(row)
                .map_err(|e| Error::corrupt(format!("a definition: {}", JsonProblem::from(&e))))?;
            match row {
                Stored::LookupKey(check) if check == self.inner.lookup_key.check_value() => {}
                Stored::LookupKey(_) => return Err(Error::LookupKey),
                Stored::Version(version) => {
                    definitions.add(version).map_err(|e| Error::corrupt(format!("a definition: {e}")))?;
                }
                Stored::Filled(filled) => definitions.complete(&filled),
                Stored::MadeForPurposes(plugin) => definitions.note_purposes(plugin),
            }
        }
        // Only now, because the tags in the ledger are made with the look-up key.
        self.check_ledger().await?;
        let definitions = Arc::new(definitions);
        self.cache_definitions(stored.revision, Arc::clone(&definitions));
        Ok((stored.revision, definitions))
    }

    pub(super) async fn append(&self, expected: u64, row: &Stored) -> Result<Option<u64>, Error> {
        let body = serde_json::to_vec(row).map_err(|e| Error::corrupt(format!("a definition: {e}")))?;
        match self.store().define(&self.tenant, expected, body).await {
            Ok(revision) => Ok(Some(revision)),
            Err(DefineError::Conflict { .. }) => Ok(None),
            Err(DefineError::Storage(error)) => Err(error.into()),
            Err(other) => Err(Error::corrupt(other)),
        }
    }
}
