//! The relationship card: told field by field, kept sealed, each telling with its source and time.
//!
//! Of each field one personal row, `card.` and the field's name, has what holds now, and up to twenty, `was.` with
//! the name and a number, have what was told before. Both are the JSON of a [`Telling`] before they are sealed.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crm_core::audit::AuditEntry;
use crm_core::change::Change;
use crm_core::event::Fact;
use crm_core::profile::{
    Card, CardChanged, CardError, CardUpdate, CardValue, Completeness, Field, Party, Role, Searchable, Telling,
    Tellings,
};
use crm_core::workflow::FieldName;
use crm_core::{CustomerId, Definitions, EventId, SetKey, SetKind, SmolStr, Source, Span, Timestamp};
use crm_storage::{CommitError, Committed, Details, Parts, PersonalMove, Selection, Token};
use futures_core::Stream;
use futures_util::StreamExt as _;
use serde_json::Value;

use super::ingest::Ingestion;
use super::record::{Attempt, Found, Grounds, Planned};
use super::writing::Writing;
use super::{ATTEMPTS_MAX, Base, Crm};
use crate::error::Error;
use crate::personal::{PersonKey, PersonalError, Place};
use crate::plan::{Outcome, Prepared};

/// What holds now.
const CARD: &str = "card.";
/// What was told before.
const WAS: &str = "was.";
/// How far ahead of the clock something may be told: as much as time zones are apart. It could not be told
/// anew before that time comes.
const AHEAD_MAX: Span = Span::days(1);
/// How many updates [`Crm::import_cards`] takes in together unless another number is said.
pub const CARDS_AT_A_TIME: usize = 8_192;
/// How many keys are asked of the host at one time.
const KEYS_AT_ONCE: usize = 16;

/// What somebody tells about a customer.
#[derive(Debug, Clone, PartialEq)]
pub struct CardTold {
    /// About whom.
    pub customer: CustomerId,
    /// What.
    pub update: CardUpdate,
    /// Who tells it.
    pub source: Source,
    /// When it was so.
    pub at: Timestamp,
}

/// What became of an update.
#[derive(Debug, Clone, PartialEq)]
pub struct CardUpdated {
    /// About whom.
    pub customer: CustomerId,
    /// The event that names the fields; none if all of it was known.
    pub event: Option<EventId>,
    /// The fields of which something is kept that was not kept before: as what holds, or among what held.
    pub fields: BTreeSet<Field>,
    /// What moved because of it.
    pub changes: Vec<Change>,
}

/// What became of the updates of one import.
#[derive(Debug, Default)]
pub struct CardsImported {
    /// How many came in.
    pub read: u64,
    /// How many of them told something that was not known.
    pub updated: u64,
    /// How many told nothing new.
    pub known: u64,
    /// How many were refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// The first refusals, usually at most a hundred: the number of the update, counted from 0, and why.
    pub refusals: Vec<(u64, Error)>,
}

impl CardsImported {
    /// Counts an answer. What is not the update's own fault ends the import.
    fn count(&mut self, number: u64, answer: Result<CardUpdated, Error>, how: Ingestion) -> Result<(), Error> {
        let refusal = match answer {
            Ok(CardUpdated { event: Some(_), .. }) => {
                self.updated += 1;
                return Ok(());
            }
            Ok(CardUpdated { event: None, .. }) => {
                self.known += 1;
                return Ok(());
            }
            Err(refusal) => refusal,
        };
        let Some(reason) = reason_of(&refusal) else { return Err(refusal) };
        *self.refused.entry(reason).or_default() += 1;
        if self.refusals.len() < how.refusals_told() {
            self.refusals.push((number, refusal));
        }
        Ok(())
    }
}

/// Why an update was refused for what it is itself; none if it is no fault of its own.
fn reason_of(refusal: &Error) -> Option<&'static str> {
    if let Error::Fact(refusal) = refusal {
        return Some(refusal.reason());
    }
    if let Error::Personal(problem) = refusal {
        return match problem {
            PersonalError::Erased { .. } => Some("erased"),
            PersonalError::Damaged { .. } => Some("damaged"),
            PersonalError::NoKey => Some("no_key"),
            PersonalError::Random | PersonalError::Reserved { .. } | PersonalError::Inside | PersonalError::Keys(_) => {
                None
            }
        };
    }
    let is_card = matches!(refusal, Error::Card(_)).then_some("card");
    is_card.or_else(|| matches!(refusal, Error::NoCustomer { .. }).then_some("no_customer"))
}

/// How a field of a card changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardChange {
    /// Which field.
    pub field: Field,
    /// When.
    pub at: Timestamp,
    /// Who told it.
    pub source: Source,
    /// What held before; none if nothing did, or if it is older than what is kept.
    pub from: Option<CardValue>,
    /// What held then; none if the value was taken back.
    pub to: Option<CardValue>,
}

/// Whether the name of a personal row belongs to cards.
pub(super) fn is_of_card(name: &str) -> bool {
    name.starts_with(CARD) || name.starts_with(WAS)
}

impl Crm {
    /// Takes in what a source tells about some fields of a customer's card. Of each field the telling with the
    /// latest time holds, whichever comes first; the twenty before it are kept too. All of it is sealed under
    /// the customer's own key, in one commit with an event that names the fields and the source, and with what
    /// the customer can be searched by. The same again changes nothing.
    ///
    /// ```
    /// use crm::{CardUpdate, Channel, Crm, Identifier, Incoming, Name, SearchQuery, Source, Visited};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let visit = Visited { channel: Channel::Web, place: None };
    /// let wang = Identifier::email("wang@example.com")?;
    /// let wang = crm.record(Incoming::new(wang, crm.now(), Source::new("shop")?, visit)).await?.customer;
    ///
    /// let update = CardUpdate::new().name(Name::new("小明", "王")?);
    /// crm.update_card(wang, update, &Source::new("form")?, crm.now()).await?;
    /// let card = crm.card(wang).await?;
    /// assert_eq!(card.name().map(|name| name.display()).as_deref(), Some("王小明"));
    /// assert_eq!(crm.search(&SearchQuery::new("小明")?, 10).await?[0].customer, wang);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Card` if a value is refused or the time is more than a day ahead, `NoCustomer`, `Personal` if a value
    /// cannot be sealed or opened, `Storage` if the store failed, `Busy` if other writers were first each time.
    pub async fn update_card(
        &self,
        customer: CustomerId,
        update: CardUpdate,
        source: &Source,
        at: Timestamp,
    ) -> Result<CardUpdated, Error> {
        self.update_one(&CardTold { customer, update, source: source.clone(), at }, None).await
    }

    /// Takes in many updates, those of different customers in one call of the store. They are independent: one
    /// that is refused does not keep the others from being taken in. Answers in order.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed. Those of single updates are in the answers, as in
    /// [`update_card`](Self::update_card).
    pub async fn update_cards(&self, told: &[CardTold]) -> Result<Vec<Result<CardUpdated, Error>>, Error> {
        self.update_in_rounds(told, false).await
    }

    /// Takes in a stream of updates, and reports what became of them. See
    /// [`import_cards_with_progress`](Self::import_cards_with_progress).
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn import_cards<S>(&self, told: S, how: Ingestion) -> Result<CardsImported, Error>
    where
        S: Stream<Item = CardTold> + Send,
    {
        self.import_cards_with_progress(told, how, |_| {}).await
    }

    /// Takes in a stream of updates, as when a shop moves in with the cards of all its customers, and reports after
    /// each batch. What comes of it is what [`update_card`](Self::update_card) of each in turn would have left, except
    /// that with [`Ingestion::history`] no workflow is called. What is refused is counted by reason and the rest goes on;
    /// what was taken in before is counted as known, so that an import that was cut off can be run again from
    /// the start.
    ///
    /// A batch has [`CARDS_AT_A_TIME`] updates unless another number is said, and is written in one transaction for each
    /// update that any of its customers has in it. The larger it is the less is written: what customers are searched by
    /// are hashes that lie all over their table, and a page that several customers are on is written once for all of
    /// them. About 4 KiB of memory go on each. Customers in the order of their ids, or nearly, are cheapest.
    ///
    /// # Errors
    ///
    /// `LookupKey` if the store was made with another one, `Storage` if the store failed, `Personal` if the host's keys
    /// failed, `Busy` if other writers were first each time. The batches before are kept.
    pub async fn import_cards_with_progress<S, P>(
        &self,
        told: S,
        how: Ingestion,
        mut progress: P,
    ) -> Result<CardsImported, Error>
    where
        S: Stream<Item = CardTold> + Send,
        P: FnMut(&CardsImported) + Send,
    {
        self.check_lookup_key().await?;
        let mut report = CardsImported::default();
        let mut batches = std::pin::pin!(told.chunks(how.batch_of(CARDS_AT_A_TIME)));
        while let Some(batch) = batches.next().await {
            let answers = self.update_in_rounds(&batch, how.is_quiet()).await?;
            for (answer, number) in answers.into_iter().zip(report.read..) {
                report.count(number, answer, how)?;
            }
            report.read += batch.len() as u64;
            progress(&report);
        }
        Ok(report)
    }

    /// Takes in many updates, those of different customers together, and those of one in turn. Answers in order.
    async fn update_in_rounds(&self, told: &[CardTold], quiet: bool) -> Result<Vec<Result<CardUpdated, Error>>, Error> {
        let mut answers: Vec<Option<Result<CardUpdated, Error>>> = told.iter().map(|_| None).collect();
        let mut waiting: Vec<usize> = (0..told.len()).collect();
        while !waiting.is_empty() {
            let mut round: BTreeMap<CustomerId, usize> = BTreeMap::new();
            waiting.retain(|&place| match round.entry(told[place].customer) {
                Entry::Vacant(first) => {
                    first.insert(place);
                    false
                }
                Entry::Occupied(_) => true,
            });
            let places: Vec<usize> = round.into_values().collect();
            let of_round: Vec<&CardTold> = places.iter().map(|&place| &told[place]).collect();
            for (place, answer) in places.into_iter().zip(self.update_round(&of_round, quiet).await?) {
                answers[place] = Some(answer);
            }
        }
        let answered = |answer: Option<_>| answer.ok_or_else(|| Error::corrupt("an update without an answer"));
        answers.into_iter().map(answered).collect()
    }

    /// Takes in updates of different customers, in the order of their ids, in one call of the store.
    async fn update_round(&self, told: &[&CardTold], quiet: bool) -> Result<Vec<Result<CardUpdated, Error>>, Error> {
        let ids: Vec<CustomerId> = told.iter().map(|told| told.customer).collect();
        let loaded = self.store().load(&self.tenant, &ids).await?;
        let definitions = self.definitions_at(loaded.definitions).await?;
        // Versions are read before what they are to vouch for.
        let details = self.store().details(&self.tenant, &ids, Parts::PERSONAL).await?;
        let mut answers: Vec<Option<Result<CardUpdated, Error>>> = told.iter().map(|_| None).collect();
        let (mut commits, mut moves) = (Vec::with_capacity(told.len()), Vec::with_capacity(told.len()));
        for (place, (row, details)) in loaded.rows.into_iter().zip(details).enumerate() {
            let told = told[place];
            let there = row.filter(|_| self.is_customer(told.customer)).zip(details);
            let Some((row, details)) = there else { continue };
            let base = self.decode(&row, &definitions).await?;
            if base.customer.is_merged() || base.customer.merged_into().is_some() {
                // The versions of the others would be read after the cards that they are to vouch for.
                continue;
            }
            let how = Told { grounds: Grounds::Needed, ordinal: 0, quiet };
            match self.plan_whole_update(told, &base, &definitions, &details, how).await {
                // What the audit log has something of goes by itself.
                Ok(PlannedUpdate::Ready(writing, _)) if writing.is_noted() => {}
                Ok(PlannedUpdate::Ready(writing, updated)) => {
                    commits.push(writing.commit);
                    moves.push((place, updated));
                }
                Ok(PlannedUpdate::Known) => answers[place] = Some(Ok(known(told.customer))),
                Ok(PlannedUpdate::Other) => {}
                Err(error) => answers[place] = Some(Err(error)),
            }
        }
        let committed = self.store().commit(&self.tenant, commits).await?;
        for ((place, updated), committed) in moves.into_iter().zip(committed) {
            if matches!(committed, Ok(Committed::Done { .. })) {
                answers[place] = Some(Ok(updated));
            }
        }
        let mut all = Vec::with_capacity(told.len());
        for (told, answer) in told.iter().zip(answers) {
            all.push(match answer {
                Some(answer) => answer,
                // Who is not there, or whom somebody else wrote meanwhile: by itself it will show.
                None => self.update_alone(told, None, quiet).await,
            });
        }
        Ok(all)
    }

    /// Plans an update under whatever number it turns out to take.
    async fn plan_whole_update(
        &self,
        told: &CardTold,
        base: &Base,
        definitions: &Definitions,
        details: &Details,
        mut how: Told,
    ) -> Result<PlannedUpdate, Error> {
        for _ in 0..ATTEMPTS_MAX {
            match self.plan_update(told, base.clone(), definitions, details, how).await? {
                PlannedUpdate::Other => how.ordinal += 1,
                planned @ (PlannedUpdate::Ready(..) | PlannedUpdate::Known) => return Ok(planned),
            }
        }
        Ok(PlannedUpdate::Other)
    }

    /// Takes in an update, with an entry of the audit log in the same commit if there is one.
    pub(super) async fn update_one(&self, told: &CardTold, noted: Option<&AuditEntry>) -> Result<CardUpdated, Error> {
        self.update_alone(told, noted, false).await
    }

    async fn update_alone(
        &self,
        told: &CardTold,
        noted: Option<&AuditEntry>,
        quiet: bool,
    ) -> Result<CardUpdated, Error> {
        let mut how = Told { grounds: Grounds::Needed, ordinal: 0, quiet };
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base(told.customer).await?;
            let base = base.ok_or(Error::NoCustomer { customer: told.customer })?;
            let details = self.store().details(&self.tenant, &[told.customer], Parts::PERSONAL).await?;
            let details = details.into_iter().next().flatten().unwrap_or_default();
            let planned = self.plan_update(told, base, &definitions, &details, how).await?;
            let (mut writing, updated) = match planned {
                PlannedUpdate::Known => return Ok(known(told.customer)),
                PlannedUpdate::Other => {
                    how.ordinal += 1;
                    continue;
                }
                PlannedUpdate::Ready(writing, updated) => (writing, updated),
            };
            writing.note(noted.cloned());
            match self.settle(writing).await? {
                super::Settled::Done | super::Settled::Replayed(_) => return Ok(updated),
                super::Settled::Refused(error) if error.is_lost_race() => self.lost()?,
                // Only the history can tell whether it is the same.
                super::Settled::Refused(CommitError::EventExists { .. }) if how.grounds != Grounds::History => {
                    how.grounds = Grounds::History;
                }
                super::Settled::Refused(error) => return Err(Error::corrupt(error)),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// What an update comes to for a customer as loaded.
    async fn plan_update(
        &self,
        told: &CardTold,
        base: Base,
        definitions: &Definitions,
        details: &Details,
        Told { grounds, ordinal, quiet }: Told,
    ) -> Result<PlannedUpdate, Error> {
        let CardTold { customer, update, source, at } = told;
        let now = self.now();
        if *at > now.plus(AHEAD_MAX) {
            return Err(CardError::Ahead { days_max: 1 }.into());
        }
        if base.customer.is_erased() {
            return Err(PersonalError::Erased { customer: *customer }.into());
        }
        let tellings = update.clone().check(*at, source, definitions.card_schema(now))?;
        let kept = definitions.retention_versions().any(|(_, policy, ..)| policy.forgets_card(tellings.keys()));
        let how = Attempt { grounds, kept, ..Attempt::default() };
        let (key, new_key) = self.key_or_new(*customer, details).await?;
        let file = File { crm: self, customer: *customer, key: &key, rows: &details.personal };
        let mut moved = PersonalMove { key: new_key, ..PersonalMove::default() };
        let mut fields = BTreeSet::new();
        let mut is_found_otherwise = false;
        for (field, telling) in &tellings {
            let Some(holds) = file.tell(field, telling, &mut moved)? else { continue };
            is_found_otherwise |= holds && field.is_searched();
            fields.insert(field.clone());
        }
        if fields.is_empty() {
            return Ok(PlannedUpdate::Known);
        }
        if is_found_otherwise {
            let mut searched = file.current(Field::is_searched)?;
            let newer = tellings.iter().filter(|(field, _)| field.is_searched());
            for (field, telling) in newer {
                let old = searched.remove(field);
                searched.insert(field.clone(), old.map_or(telling.clone(), |old| old.max(telling.clone())));
            }
            moved.tokens = Some(self.tokens(&Searchable::of(&Card::new(searched))));
        }
        let id = match update.key() {
            Some(key) => EventId::of_fact(&self.tenant, source, key.as_str()),
            None => {
                let names: Vec<SmolStr> = fields.iter().map(Field::name).collect();
                let content = format!("card of {customer} at {} {}", at.as_millis(), names.join(" "));
                EventId::of_content(&self.tenant, source, &content, ordinal)
            }
        };
        let fact = Fact::CardChanged(CardChanged::new(fields.clone())?);
        let prepared = Prepared { id, at: *at, source: source.clone(), fact };
        let (expected, through, others) = (base.expected, base.through, base.others.clone());
        let context = self.context(definitions, now, quiet);
        let mut outcomes = Vec::with_capacity(1);
        let facts = [&prepared];
        let found = Found::Known(*customer);
        let planned = self.plan_facts(context, base, found, &facts, how, &mut outcomes).await?;
        let Planned::Ready(plan) = planned else {
            return Err(Error::corrupt("a plan that lacks what it was given"));
        };
        match (outcomes.pop(), update.key()) {
            (Some(Outcome::Refused(_)), None) | (Some(Outcome::Known), None) => return Ok(PlannedUpdate::Other),
            (Some(Outcome::Refused(refusal)), Some(_)) => return Err(refusal.into()),
            (Some(Outcome::Known) | None, _) => return Ok(PlannedUpdate::Known),
            (Some(Outcome::Recorded), _) => {}
        }
        let mut plan = plan.ok_or_else(|| Error::corrupt("a recorded fact that changes nothing"))?;
        self.lead_on(&mut plan).await?;
        let (mut writing, changes) = Writing::of(plan, expected, &others)?;
        // Of somebody who was merged, each keeps their own card.
        for write in writing.commit.writes.iter_mut().filter(|write| write.customer == through) {
            write.personal = Some(Box::new(std::mem::take(&mut moved)));
        }
        Ok(PlannedUpdate::Ready(writing, CardUpdated { customer: *customer, event: Some(id), fields, changes }))
    }

    /// What moves when fields of the card and other personal ones are taken out, with all that they held before.
    pub(super) async fn without_fields(
        &self,
        customer: CustomerId,
        details: &Details,
        card: &BTreeSet<Field>,
        personal: &BTreeSet<FieldName>,
    ) -> Result<PersonalMove, Error> {
        let goes = |name: &SmolStr| {
            let was = || name.strip_prefix(WAS)?.rsplit_once('.').map(|(field, _)| field);
            match name.strip_prefix(CARD).or_else(was) {
                Some(field) => Field::parse(field).is_ok_and(|field| card.contains(&field)),
                None => personal.iter().any(|own| own.as_str() == name.as_str()),
            }
        };
        let gone = details.personal.iter().map(|(name, _)| name).filter(|name| goes(name));
        let mut moved = PersonalMove { fields: gone.map(|name| (name.clone(), None)).collect(), ..Default::default() };
        if card.iter().any(Field::is_searched) && details.tokens > 0 {
            let left = |field: &Field| field.is_searched() && !card.contains(field);
            let searched = match self.known_key(customer, details).await? {
                Some(key) => File { crm: self, customer, key: &key, rows: &details.personal }.current(left),
                None => Ok(BTreeMap::new()),
            };
            // What cannot be opened is found by nothing: that is not to keep what is due from going.
            moved.tokens = Some(self.tokens_of(searched.unwrap_or_else(|problem| {
                tracing::warn!(%customer, %problem, "what is left of a card cannot be opened, nor searched any more");
                BTreeMap::new()
            })));
        }
        Ok(moved)
    }

    /// What a store finds somebody by.
    fn tokens(&self, searchable: &Searchable) -> Vec<Token> {
        searchable.grams().iter().map(|gram| self.token(gram)).collect()
    }

    /// What a store finds somebody by whose card says this.
    pub(super) fn tokens_of(&self, mut tellings: BTreeMap<Field, Telling>) -> Vec<Token> {
        tellings.retain(|field, _| field.is_searched());
        self.tokens(&Searchable::of(&Card::new(tellings)))
    }

    pub(super) fn token(&self, gram: &crm_core::profile::Gram) -> Token {
        Token(self.inner.lookup_key.token(&self.tenant, gram.kind.purpose(), &gram.text))
    }

    /// A customer's card; an empty one for somebody who is not there, was erased, or of whom nothing was told.
    /// That of somebody who was merged is the join of all their cards.
    ///
    /// # Errors
    ///
    /// `Personal` if a value cannot be opened, `Storage` if the store failed.
    pub async fn card(&self, customer: CustomerId) -> Result<Card, Error> {
        let base = self.base(customer).await?.0.filter(|base| base.customer.is_merged());
        match base {
            Some(base) => Ok(Card::join(&self.cards(&base.customer.members().collect::<Vec<_>>()).await?)),
            None => Ok(self.cards(&[customer]).await?.pop().unwrap_or_default()),
        }
    }

    /// The cards that are kept under several ids, in the order asked for, with one read of the store.
    /// [`Card::join`] makes one of those that are of one person.
    ///
    /// # Errors
    ///
    /// As for [`card`](Self::card).
    pub async fn cards(&self, customers: &[CustomerId]) -> Result<Vec<Card>, Error> {
        let tellings = self.read_files(customers, |_| true, true).await?;
        Ok(tellings.into_iter().map(|tellings| Card::new(tellings.unwrap_or_default())).collect())
    }

    /// How the fields of a customer's card changed, the newest change first: what was told to hold, instead of
    /// what, when and by whom. The newest 21 tellings of a field are kept.
    ///
    /// # Errors
    ///
    /// As for [`card`](Self::card).
    pub async fn card_history(&self, customer: CustomerId) -> Result<Vec<CardChange>, Error> {
        let members: Vec<CustomerId> = match self.base(customer).await?.0 {
            Some(base) => base.customer.members().collect(),
            None => vec![customer],
        };
        let mut tellings = Vec::new();
        for member in members {
            tellings.extend(self.all_tellings(member).await?);
        }
        let mut changes = Vec::new();
        for (field, tellings) in tellings {
            let tellings = tellings.as_slice();
            let before = tellings.iter().skip(1).map(|telling| telling.value.clone()).chain([None]);
            changes.extend(tellings.iter().zip(before).map(|(telling, from)| CardChange {
                field: field.clone(),
                at: telling.at,
                source: telling.source.clone(),
                from,
                to: telling.value.clone(),
            }));
        }
        changes.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.field.cmp(&b.field)));
        Ok(changes)
    }

    /// Everything that is kept of a card, the newest telling of each field first.
    pub(super) async fn card_export(&self, customer: CustomerId) -> Result<Value, Error> {
        let fields = self.all_tellings(customer).await?.into_iter().map(|(field, tellings)| {
            let tellings = serde_json::to_value(tellings.as_slice()).map_err(Error::corrupt)?;
            Ok((field.name().to_string(), tellings))
        });
        fields.collect::<Result<serde_json::Map<String, Value>, Error>>().map(Value::Object)
    }

    async fn all_tellings(&self, customer: CustomerId) -> Result<BTreeMap<Field, Tellings>, Error> {
        let details = self.store().details(&self.tenant, &[customer], Parts::PERSONAL).await?;
        let details = details.into_iter().next().flatten().unwrap_or_default();
        let mut all: BTreeMap<Field, Vec<Telling>> = BTreeMap::new();
        if details.personal.iter().any(|(name, _)| is_of_card(name)) {
            let key = self.known_key(customer, &details).await?.ok_or(PersonalError::NoKey)?;
            let file = File { crm: self, customer, key: &key, rows: &details.personal };
            for (name, sealed) in &details.personal {
                let was = || name.strip_prefix(WAS)?.rsplit_once('.').map(|(field, _)| field);
                let Some(field) = name.strip_prefix(CARD).or_else(was) else { continue };
                let Ok(field) = Field::parse(field) else { continue };
                all.entry(field).or_default().push(file.open(name, sealed)?);
            }
        }
        Ok(all.into_iter().map(|(field, tellings)| (field, Tellings::of(tellings))).collect())
    }

    /// What holds of some fields of customers. With `strict` a value that cannot be opened is an error, else its
    /// customer is left out.
    pub(super) async fn read_files(
        &self,
        customers: &[CustomerId],
        which: impl Fn(&Field) -> bool + Send + Copy,
        strict: bool,
    ) -> Result<Vec<Option<BTreeMap<Field, Telling>>>, Error> {
        let all = self.store().details(&self.tenant, customers, Parts::PERSONAL).await?;
        let all = customers.iter().copied().zip(all.into_iter().map(Option::unwrap_or_default));
        let with_keys = futures_util::stream::iter(all).map(|(customer, details)| async move {
            let has_card = details.personal.iter().any(|(name, _)| name.starts_with(CARD));
            let key = if has_card { self.known_key(customer, &details).await? } else { None };
            Ok::<_, Error>((customer, details, has_card, key))
        });
        let with_keys: Vec<_> = with_keys.buffered(KEYS_AT_ONCE).collect().await;
        let mut cards = Vec::with_capacity(customers.len());
        for with_key in with_keys {
            let (customer, details, has_card, key) = with_key?;
            let read = match &key {
                Some(key) => File { crm: self, customer, key, rows: &details.personal }.current(which),
                None if has_card => Err(PersonalError::NoKey.into()),
                None => Ok(BTreeMap::new()),
            };
            cards.push(match read {
                Err(problem) if !strict => {
                    tracing::warn!(%customer, %problem, "a card that cannot be opened is left out");
                    None
                }
                read => Some(read?),
            });
        }
        Ok(cards)
    }

    /// How complete a customer's card is for the stage that the customer is at, and what to ask next, by the
    /// rules that hold now. Where no rules were defined every card is complete.
    ///
    /// # Errors
    ///
    /// `NoCustomer`, and as for [`card`](Self::card).
    pub async fn completeness(&self, customer: CustomerId) -> Result<Completeness, Error> {
        let (base, definitions) = self.base(customer).await?;
        let base = base.ok_or(Error::NoCustomer { customer })?;
        let card = self.card(customer).await?;
        let rules = definitions.completeness(self.now()).cloned().unwrap_or_default();
        Ok(rules.of(&card, base.customer.stage()))
    }
}

impl Crm {
    /// The customers who have a role towards the shop, or in an organisation, in the order of their ids, at most
    /// `limit` of them (at least one) after one.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn in_role(
        &self,
        role: Role,
        organisation: Option<CustomerId>,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Vec<CustomerId>, Error> {
        let name = organisation.map_or_else(|| role.name().to_owned(), |of| Party::set_of(role, of));
        let set = SetKey::new(SetKind::Role, &name).map_err(Error::corrupt)?;
        Ok(self.store().select(&self.tenant, &Selection::In(set), after, limit.max(1)).await?)
    }
}

/// How an update is planned.
#[derive(Clone, Copy)]
struct Told {
    grounds: Grounds,
    /// Tells events apart that name the same fields at the same time, for updates without a key.
    ordinal: u64,
    /// Whether it is history, of which no workflow hears.
    quiet: bool,
}

/// What an update comes to.
#[allow(clippy::large_enum_variant, reason = "it is taken apart where it is returned")]
enum PlannedUpdate {
    Ready(Writing, CardUpdated),
    /// Nothing of it is new.
    Known,
    /// Another event that names the same fields at the same time is there.
    Other,
}

fn known(customer: CustomerId) -> CardUpdated {
    CardUpdated { customer, event: None, fields: BTreeSet::new(), changes: Vec::new() }
}

/// The personal rows of one customer, and the key to them.
struct File<'a> {
    crm: &'a Crm,
    customer: CustomerId,
    key: &'a PersonKey,
    rows: &'a [(SmolStr, Vec<u8>)],
}

impl File<'_> {
    fn place<'p>(&'p self, field: &'p str) -> Place<'p> {
        Place { tenant: &self.crm.tenant, customer: self.customer, field }
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Result<Telling, Error> {
        let opened = zeroize::Zeroizing::new(self.key.open(&self.place(name), sealed)?);
        serde_json::from_slice(&opened).map_err(|_| PersonalError::Damaged { field: name.to_owned() }.into())
    }

    fn seal(&self, name: &str, telling: &Telling) -> Result<Vec<u8>, Error> {
        let value = zeroize::Zeroizing::new(serde_json::to_vec(telling).map_err(Error::corrupt)?);
        Ok(self.key.seal(&self.place(name), &value)?)
    }

    /// What holds of some fields. What a newer version wrote is passed over.
    fn current(&self, which: impl Fn(&Field) -> bool) -> Result<BTreeMap<Field, Telling>, Error> {
        let mut current = BTreeMap::new();
        for (name, sealed) in self.rows {
            let field = name.strip_prefix(CARD).and_then(|name| Field::parse(name).ok());
            let Some(field) = field.filter(|field| which(field)) else { continue };
            current.insert(field, self.open(name, sealed)?);
        }
        Ok(current)
    }

    /// Takes in a telling: tells which rows move, and answers whether it is what holds now; none if nothing
    /// moves.
    fn tell(&self, field: &Field, telling: &Telling, moved: &mut PersonalMove) -> Result<Option<bool>, Error> {
        let row = smol_str_of(CARD, field);
        let was = smol_str_of(WAS, field);
        let mut current = None;
        let mut slots: BTreeMap<usize, Telling> = BTreeMap::new();
        for (name, sealed) in self.rows {
            if *name == row {
                current = Some(self.open(name, sealed)?);
            } else if let Some(slot) = name.strip_prefix(was.as_str()).and_then(|rest| rest.strip_prefix('.'))
                && let Ok(slot) = slot.parse()
            {
                slots.insert(slot, self.open(name, sealed)?);
            }
        }
        let mut tellings = Tellings::of(current.iter().chain(slots.values()).cloned());
        if !tellings.tell(telling.clone()) {
            return Ok(None);
        }
        // What was pushed out leaves its slot to what comes in.
        let gone = slots.iter().find(|(_, kept)| !tellings.as_slice().contains(kept)).map(|(slot, _)| *slot);
        let free = || (0..Tellings::KEPT_MAX).find(|slot| !slots.contains_key(slot)).unwrap_or(0);
        let slot = gone.unwrap_or_else(free);
        let holds = tellings.as_slice().first() == Some(telling);
        let before = if holds { current } else { Some(telling.clone()) };
        if holds {
            let sealed = self.seal(&row, telling)?;
            moved.fields.push((row, Some(sealed)));
        }
        if let Some(before) = before {
            let name = crm_core::SmolStr::from(format!("{was}.{slot}"));
            let sealed = self.seal(&name, &before)?;
            moved.fields.push((name, Some(sealed)));
        }
        Ok(Some(holds))
    }
}

fn smol_str_of(prefix: &str, field: &Field) -> SmolStr {
    SmolStr::from(format!("{prefix}{field}"))
}
