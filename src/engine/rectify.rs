//! What was told wrong is put right, and what of a card may be seen for which purpose.

use std::collections::{BTreeMap, BTreeSet};

use crm_core::audit::{AuditAction, AuditActor, AuditEntry, ReadPurpose};
use crm_core::event::Deed;
use crm_core::identity::{Assurance, Identifier, IdentifierKey, Presented};
use crm_core::privacy::{Forgotten, IdentifierCorrected, ViewName};
use crm_core::profile::{Card, CardUpdate, Field};
use crm_core::workflow::Actor;
use crm_core::{CustomerId, Remark, Source, Timestamp};
use crm_storage::Claim;

use super::audit::because;
use super::card::CardUpdated;
use super::writing::Writing;
use super::{ATTEMPTS_MAX, CardTold, Crm};
use crate::error::Error;
use crate::personal::PersonalError;
use crate::plan::identifier_claim;

/// Who puts something right, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rectification {
    /// Who.
    pub by: AuditActor,
    /// Why, in few words: nothing that is personal about a customer. It is in the audit log, and with an identifier in
    /// the history too.
    pub reason: Option<Remark>,
}

impl Rectification {
    /// By somebody.
    #[must_use]
    pub const fn new(by: AuditActor) -> Self {
        Rectification { by, reason: None }
    }

    /// For a reason.
    #[must_use]
    pub fn because(mut self, reason: Remark) -> Self {
        self.reason = Some(reason);
        self
    }
}

impl From<AuditActor> for Rectification {
    fn from(by: AuditActor) -> Self {
        Rectification::new(by)
    }
}

/// Why an identifier was not put right. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RectifyRefusal {
    /// The customer is not known by the wrong one, and did not state it.
    #[error("{customer} is not known by that identifier")]
    NotKnown {
        /// Who.
        customer: CustomerId,
    },
    /// The two are of different kinds: that is not a correction.
    #[error("a {to} does not correct a {from}")]
    OtherKind {
        /// The kind of the wrong one.
        from: &'static str,
        /// The kind of the right one.
        to: &'static str,
    },
    /// The right one names nobody, by the rules for its kind.
    #[error("the identifier names nobody")]
    NamesNobody,
    /// Somebody else is known by the right one: merge them if they are one person.
    #[error("the identifier belongs to {customer}")]
    Taken {
        /// Who.
        customer: CustomerId,
    },
}

impl Crm {
    /// Puts right what a card says (GDPR, Art. 16), in the name of somebody: as
    /// [`update_card`](Self::update_card), with an entry of the audit log in the same commit, which has the reason too.
    /// What held before is kept among what was told. A wrong fact is put right by recording a
    /// [`Voided`](crm_core::event::Voided), a wrong identifier by
    /// [`rectify_identifier`](Self::rectify_identifier).
    ///
    /// # Errors
    ///
    /// As for [`update_card`](Self::update_card).
    pub async fn rectify(
        &self,
        customer: CustomerId,
        update: CardUpdate,
        source: &Source,
        at: Timestamp,
        how: impl Into<Rectification> + Send,
    ) -> Result<CardUpdated, Error> {
        let Rectification { by, reason } = how.into();
        let told = CardTold { customer, update, source: source.clone(), at };
        let entry = because(AuditEntry::new(by, AuditAction::Rectified).about(customer), reason.as_ref())?;
        self.update_one(&told, Some(&entry)).await
    }

    /// Puts right by what a customer is known (GDPR, Art. 16), such as an e-mail address that was mistyped: in one
    /// commit with an entry of the audit log the wrong identifier leads to them no more and anybody may have it, and
    /// the right one leads to them, if it is verified; one that is not is kept as what they stated. What was told of
    /// the wrong one up to now does not count any more; what is told of it later does. Facts stay as they were told,
    /// and so does consent: it was given for the wrong address, and is to be asked for anew. Done again it changes
    /// nothing.
    ///
    /// ```
    /// use crm::{ActorName, AuditActor, Channel, Crm, Identifier, Incoming, Rectification, Source, Visited};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let visit = Visited { channel: Channel::Web, place: None };
    /// let (wrong, right) = (Identifier::email("ana@exmaple.com")?, Identifier::email("ana@example.com")?);
    /// let ana = crm.record(Incoming::new(&wrong, crm.now(), Source::new("shop")?, visit)).await?.customer;
    ///
    /// let by = AuditActor::Host(ActorName::new("support:17")?);
    /// let why = Rectification::new(by).because("mistyped".parse()?);
    /// crm.rectify_identifier(ana, &wrong, &right.clone().verified(), why).await?;
    /// assert!(crm.customer(&wrong).await?.is_none());
    /// assert_eq!(crm.customer(&right).await?.map(|customer| customer.id()), Some(ana));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Rectify` with the reason, `NoCustomer`, `Personal` if the customer was erased, `Storage` if the store failed,
    /// `Busy` if other writers were first each time.
    pub async fn rectify_identifier(
        &self,
        customer: CustomerId,
        wrong: &Identifier,
        right: &Presented,
        how: impl Into<Rectification> + Send,
    ) -> Result<(), Error> {
        let Rectification { by, reason } = how.into();
        self.check_lookup_key().await?;
        let (key, tenant) = (&self.inner.lookup_key, &self.tenant);
        let (from, to) = (key.hash(tenant, wrong), key.hash(tenant, &right.identifier));
        if from.kind != to.kind {
            return Err(RectifyRefusal::OtherKind { from: from.kind.name(), to: to.kind.name() }.into());
        }
        let scope = key.scope(tenant, &right.identifier);
        let assurance = if right.verified { Assurance::Vouched } else { Assurance::Stated };
        let action = AuditEntry::new(by, AuditAction::Rectified).about(customer);
        let entry = because(action.with_text("identifier", from.kind.name())?, reason.as_ref())?;
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base(customer).await?;
            let base = base.ok_or(Error::NoCustomer { customer })?;
            if base.customer.is_erased() {
                return Err(PersonalError::Erased { customer }.into());
            }
            if definitions.identity(self.now()).blocks(&right.identifier) {
                return Err(RectifyRefusal::NamesNobody.into());
            }
            let is_held = |key: &IdentifierKey| base.customer.identifier_seen(key).next().is_some();
            let is_known = |key: &IdentifierKey| base.customer.identifiers().any(|own| own == key);
            if from == to || (!is_held(&from) && is_held(&to) && (is_known(&to) || !right.verified)) {
                return if is_held(&to) { Ok(()) } else { Err(RectifyRefusal::NotKnown { customer }.into()) };
            }
            if !is_held(&from) {
                return Err(RectifyRefusal::NotKnown { customer }.into());
            }
            let members: Vec<CustomerId> = base.customer.members().collect();
            let keys = [identifier_claim(&from), identifier_claim(&to)];
            let owners = self.store().resolve(&self.tenant, &keys).await?;
            let [old, new] = [0, 1].map(|place| owners.get(place).copied().flatten().map(|owner| owner.customer));
            if let Some(customer) = new.filter(|owner| !base.customer.is(*owner)) {
                return Err(RectifyRefusal::Taken { customer }.into());
            }
            // Whoever the wrong one leads to is led to by the right one, and everybody forgets the wrong one.
            let holder = old.filter(|owner| base.customer.is(*owner)).unwrap_or(base.through);
            let at = base.customer.clock().max(Some(self.now())).unwrap_or_else(|| self.now());
            let corrected =
                IdentifierCorrected { from, to, scope, at, assurance: assurance.clone(), reason: reason.clone() };
            let deed = |member: CustomerId| {
                if member == holder {
                    return (member, Deed::IdentifierCorrected(corrected.clone()));
                }
                let identifiers = BTreeSet::from([from]);
                let (policy, card, personal) = Default::default();
                (member, Deed::Forgotten(Forgotten { policy, at, card, personal, identifiers }))
            };
            let deeds: Vec<(CustomerId, Deed)> = members.iter().copied().map(deed).collect();
            let mut plan = self.plan_notes(&base, &definitions, &Actor::Shop, deeds).await?;
            Box::pin(self.lead_to_come(&mut plan)).await?;
            let event = plan.event_of(holder, "identifier_corrected");
            let event = event.ok_or_else(|| Error::corrupt("a correction that is no decision"))?;
            let gone = BTreeSet::from([from]);
            let given_up = plan.gone().chain([from]).collect();
            let releases = self.claims_of(&members, &given_up).await?;
            let (mut writing, _) = Writing::of(plan, base.expected, &base.others)?;
            let commit = &mut writing.commit;
            Box::pin(self.leave(commit, &members, releases, &gone)).await?;
            let claimed = commit.claims.iter().any(|claim| claim.key == keys[1]);
            if right.verified && new.is_none() && !claimed {
                commit.claims.push(Claim { key: identifier_claim(&to), customer: holder, event });
            } else if !right.verified
                && new.is_none()
                && let Some(key) = self.list_place(&base.customer, &to).await?
            {
                commit.claims.push(Claim { key, customer: holder, event });
            }
            writing.note([entry.clone()]);
            if self.try_settle(writing).await? {
                return Ok(());
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// What may be seen of a customer's card for a purpose, by the view of that name: its fields and no others are
    /// unsealed. The audit log has who read it and what for, before it is answered.
    ///
    /// This is for whoever acts for one purpose. [`card`](Self::card) shows all of it and notes nothing, and is for the
    /// shop itself. A plugin
    /// sees what the view shows that it is [granted](crm_core::workflow::Grants), and no other personal field.
    ///
    /// # Errors
    ///
    /// `NoView` if none of that name is in force, `Restricted` if processing is restricted and the view is not
    /// exempt, `NoCustomer`, `Personal` if a value cannot be opened, `Storage` if the store failed.
    pub async fn card_for(&self, customer: CustomerId, view: &ViewName, by: AuditActor) -> Result<Card, Error> {
        let (base, definitions) = self.base(customer).await?;
        let base = base.ok_or(Error::NoCustomer { customer })?;
        let no_view = || Error::NoView { view: view.clone() };
        let allowed = definitions.view(view, self.now()).ok_or_else(no_view)?;
        if let Some(since) = base.customer.restricted_since().filter(|_| !allowed.though_restricted) {
            return Err(Error::Restricted { customer, since });
        }
        let members: Vec<CustomerId> = base.customer.members().collect();
        let is_shown = |field: &Field| allowed.fields.contains(field);
        let tellings = self.read_files(&members, is_shown, true).await?;
        let cards: Vec<Card> =
            tellings.into_iter().map(|tellings| Card::new(tellings.unwrap_or_else(BTreeMap::new))).collect();
        let card = Card::join(&cards);
        let purpose = ReadPurpose::new(view.as_str()).map_err(Error::corrupt)?;
        let entry = AuditEntry::new(by, AuditAction::PersonalRead { purpose }).about(customer);
        let fields = i64::try_from(card.fields().count()).unwrap_or(i64::MAX);
        self.audit(entry.with_number("fields", fields)?).await?;
        Ok(card)
    }
}
