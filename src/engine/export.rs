//! All that is held about somebody, as JSON that can be read and taken in again.
//!
//! The lists are flat: each row says whose it is among those whom the customer was merged of. Bodies are JSON where
//! reading and writing them again gives the same bytes, and else the text or the bytes themselves.

use std::collections::BTreeMap;

use crm_core::attribute::Attribute;
use crm_core::audit::{AuditAction, AuditActor, AuditEntry};
use crm_core::change::Change;
use crm_core::customer::Customer;
use crm_core::event::{Event, EventBody};
use crm_core::identity::Identifier;
use crm_core::profile::{Card, ContactKind};
use crm_core::score::{Score, ScoreInputs, ScoreName, ScoreTerms};
use crm_core::{Column, CustomerId, Digest, EventId, SmolStr, Source, Timestamp};
use crm_storage::{Claim, ClaimKey, Details, Entries, Entry, OutboxEntry, Parts, RequestRow, ScoreRow, Traits};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::audit::by_shop;
use super::card::is_of_card;
use super::erase::identifiers_in;
use super::identify::{newcomer_claim, stated_claims};
use super::leads::attached;
use super::score::newest;
use super::{ATTEMPTS_MAX, Crm, PAGE, decode_event};
use crate::error::Error;
use crate::personal::{PersonKey, PersonalError, Place};
use crate::plan::{identifier_claim, issued_card, number_claim};

/// The format that is written.
pub(super) const FORMAT: &str = "crm-export/1";

/// Bytes that are kept, as JSON if they are that. They print masked.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Body {
    Json(Value),
    Text(String),
    Hex(String),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body(***)")
    }
}

impl Body {
    /// `again` writes what was read, in the order that it is kept in.
    fn of(bytes: &[u8], again: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Self {
        let value = serde_json::from_slice::<Value>(bytes).ok();
        let same = |value: &Value| again(&serde_json::to_vec(value).ok()?).filter(|again| again == bytes);
        match value.filter(|value| same(value).is_some()) {
            Some(value) => Body::Json(value),
            None => match std::str::from_utf8(bytes) {
                Ok(text) => Body::Text(text.to_owned()),
                Err(_) => Body::Hex(to_hex(bytes)),
            },
        }
    }

    /// The bytes, before they are put into the order in which they are kept.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Body::Json(value) => serde_json::to_vec(value).ok(),
            Body::Text(text) => Some(text.clone().into_bytes()),
            Body::Hex(text) => from_hex(text),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventOut {
    pub(super) customer: CustomerId,
    pub(super) id: EventId,
    pub(super) at: Timestamp,
    pub(super) recorded_at: Timestamp,
    pub(super) kind: SmolStr,
    pub(super) shape: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<Source>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cause: Option<EventId>,
    pub(super) body: Body,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeOut {
    pub(super) customer: CustomerId,
    pub(super) at: Timestamp,
    pub(super) kind: SmolStr,
    pub(super) body: Body,
    /// How many events of the same customer stand before it. Exports of before have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScoreOut {
    pub(super) customer: CustomerId,
    pub(super) plugin: SmolStr,
    pub(super) output: SmolStr,
    pub(super) at: Timestamp,
    pub(super) value: f64,
    pub(super) version: SmolStr,
    pub(super) digest: Digest,
    pub(super) input: Digest,
    /// What the plugin was given; none if that was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) inputs: Option<Vec<InputOut>>,
    /// When it was kept; none if it is older than that this is noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) recorded_at: Option<Timestamp>,
    /// What it was made for and what was withheld from the plugin; none if there is nothing to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) terms: Option<ScoreTerms>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputOut {
    pub(super) attribute: Attribute,
    /// None if it was missing.
    pub(super) value: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestOut {
    pub(super) customer: CustomerId,
    pub(super) key: SmolStr,
    pub(super) digest: Digest,
    pub(super) answer: Body,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutboxOut {
    pub(super) customer: CustomerId,
    pub(super) id: EventId,
    pub(super) topic: SmolStr,
    pub(super) due_at: Timestamp,
    pub(super) body: Body,
    /// Why it was given up; none if it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dead: Option<Dead>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dead {
    pub(super) attempts: u32,
    pub(super) reason: SmolStr,
}

impl std::fmt::Debug for Dead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dead(after {} attempts)", self.attempts)
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimOut {
    pub(super) customer: CustomerId,
    pub(super) event: EventId,
    pub(super) kind: SmolStr,
    /// In hexadecimal.
    pub(super) key: String,
}

/// A personal row, opened: what `keep_personal` was given, or the JSON of what was told for a card.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RowOut {
    pub(super) customer: CustomerId,
    pub(super) name: SmolStr,
    pub(super) value: String,
}

/// The rows of one member.
struct MemberOut {
    id: CustomerId,
    events: Vec<EventOut>,
    changes: Vec<ChangeOut>,
    decoded: Vec<Event>,
    details: Details,
}

impl Crm {
    /// All that is held about a customer, as JSON; none for one who is not there (GDPR, Art. 15 and 20). Of somebody
    /// who was merged, what is held of all. [`import`](Self::import) takes it in again. Reads their whole history,
    /// and the tenant's dead letters if there are entries in the outbox about them.
    ///
    /// It is of one moment: when a history moved while it was read it is read again. Scores, deliveries and dead
    /// letters do not move histories, and may be of a moment later. What is held by a key that only somebody else
    /// has, such as the hash of a token of double opt-in, cannot be listed. The audit log says, before it is answered,
    /// that the shop was given it; [`export_for`](Self::export_for) says who was.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed, `Personal` if a value cannot be opened, `Busy` if other writers were first
    /// each time.
    pub async fn export(&self, customer: CustomerId) -> Result<Option<Value>, Error> {
        self.export_for(customer, by_shop()?).await
    }

    async fn gather(&self, customer: CustomerId) -> Result<Option<Value>, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let (Some(base), definitions) = self.base(customer).await? else { return Ok(None) };
            let ids: Vec<CustomerId> = base.customer.members().collect();
            let before = self.versions(&ids).await?;
            let mut members = Vec::with_capacity(ids.len());
            for id in &ids {
                members.push(self.export_member(*id).await?);
            }
            let export = self.put_together(&base.customer, &definitions, members).await?;
            // What was read of the customer at first has to be what the versions are of.
            let (again, _) = self.base(customer).await?;
            let same = again.is_some_and(|again| again.customer == base.customer);
            if same && self.versions(&ids).await? == before {
                return Ok(Some(export));
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// As [`export`](Self::export), in the name of somebody; the audit log says so before it is answered.
    ///
    /// # Errors
    ///
    /// As for [`export`](Self::export).
    pub async fn export_for(&self, customer: CustomerId, by: AuditActor) -> Result<Option<Value>, Error> {
        let export = self.gather(customer).await?;
        if export.is_some() {
            self.audit(AuditEntry::new(by, AuditAction::Exported).about(customer)).await?;
        }
        Ok(export)
    }

    async fn versions(&self, ids: &[CustomerId]) -> Result<Vec<Option<u64>>, Error> {
        let loaded = self.store().load(&self.tenant, ids).await?;
        Ok(loaded.rows.into_iter().map(|row| row.map(|row| row.version.0)).collect())
    }

    async fn export_member(&self, id: CustomerId) -> Result<MemberOut, Error> {
        let mut member =
            MemberOut { id, events: Vec::new(), changes: Vec::new(), decoded: Vec::new(), details: Details::default() };
        let mut after = None;
        loop {
            let page = self.store().history(&self.tenant, id, Entries::All, after, PAGE).await?;
            for row in page.rows {
                match row {
                    Entry::Event(row) => {
                        let kind = row.kind.clone();
                        let again = |bytes: &[u8]| Some(EventBody::decode(&kind, row.shape, bytes).ok()?.encode());
                        member.events.push(EventOut {
                            customer: id,
                            id: row.id,
                            at: row.at,
                            recorded_at: row.recorded_at,
                            kind: kind.clone(),
                            shape: row.shape,
                            source: row.source.clone(),
                            cause: row.cause,
                            body: Body::of(&row.body, again),
                        });
                        member.decoded.push(decode_event(id, row)?);
                    }
                    Entry::Change(row) => {
                        let again = |bytes: &[u8]| Some(serde_json::from_slice::<Change>(bytes).ok()?.encode());
                        let body = Body::of(&row.body, again);
                        let after = u32::try_from(member.events.len()).ok();
                        member.changes.push(ChangeOut { customer: id, at: row.at, kind: row.kind, body, after });
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        // A part that is added has to be asked for here.
        let Parts { traits, scores, personal, requests, outbox } = Parts::ALL;
        let parts = Parts { traits, scores, personal, requests, outbox };
        let details = self.store().details(&self.tenant, &[id], parts).await?;
        member.details = details.into_iter().next().flatten().unwrap_or_default();
        Ok(member)
    }

    async fn put_together(
        &self,
        customer: &Customer,
        definitions: &crm_core::Definitions,
        members: Vec<MemberOut>,
    ) -> Result<Value, Error> {
        let ids: Vec<CustomerId> = members.iter().map(|member| member.id).collect();
        let all: Vec<Event> = members.iter().flat_map(|member| member.decoded.iter().cloned()).collect();
        let clock = customer.clock();
        let head = members.iter().filter(|member| member.id == customer.id());
        let scores = head.flat_map(|member| newest(&member.details.scores));
        let folded = fold(customer.id(), &all, clock, scores, definitions);
        let dead = if members.iter().any(|member| !member.details.outbox.is_empty()) {
            self.all_dead().await?
        } else {
            BTreeMap::new()
        };
        let (mut events, mut changes, mut scores, mut requests) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut outbox, mut rows, mut tokens) = (Vec::new(), Vec::new(), 0);
        let mut numbers: Map<String, Value> = Map::new();
        let mut sets = Vec::new();
        for member in members {
            events.extend(member.events);
            changes.extend(member.changes);
            let key = self.known_key(member.id, &member.details).await?;
            // A part that is added has to find its place here.
            let Details {
                traits: Traits { columns, sets: in_sets },
                scores: scored,
                key: _,
                personal,
                tokens: found_by,
                requests: carried_out,
                outbox: waiting,
            } = member.details;
            if member.id == customer.id() {
                numbers = Column::ALL
                    .into_iter()
                    .filter_map(|column| Some((column.name().to_owned(), columns.get(column)?.into())))
                    .collect();
                sets = in_sets;
            }
            scores.extend(scored.into_iter().map(|row| score_out(member.id, row)));
            requests.extend(carried_out.into_iter().map(|row| request_out(member.id, row)));
            outbox.extend(waiting.into_iter().map(|entry| outbox_out(entry, &dead)));
            rows.extend(self.open_rows(member.id, key.as_ref(), personal)?);
            tokens += found_by;
        }
        let claims = self.claims_out(&ids, claims_in(&all)).await?;
        let mut listed = self.claims_out(&ids, places_in(&all)).await?;
        listed.extend(self.shared_places(&ids, &identifiers_in(&all)).await?.into_iter().map(claim_out));
        let identifiers: Vec<_> = customer.identifiers().collect();
        let stated: Vec<_> = customer.stated_identifiers().collect();
        let ties: Vec<Value> = customer.ties().map(|tie| json!({ "other": tie.other, "kind": tie.kind })).collect();
        let consents: Vec<Value> = customer
            .standing()
            .consents()
            .map(|(key, status)| {
                let scope = key.scope.as_ref().map(|scope| scope.as_str());
                json!({
                    "purpose": key.purpose, "channel": key.channel, "scope": scope, "status": status.to_string(),
                })
            })
            .collect();
        let mut card: Map<String, Value> = Map::new();
        for id in &ids {
            let Value::Object(fields) = self.card_export(*id).await? else { continue };
            for (name, tellings) in fields {
                match (card.get_mut(&name), tellings) {
                    (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
                    (_, tellings) => drop(card.insert(name, tellings)),
                }
            }
        }
        let whole = Card::join(&self.cards(&ids).await?);
        Ok(json!({
            "format": FORMAT,
            "exported_at": self.now(),
            "tenant": self.tenant.as_str(),
            "lookup_key": Digest::from_bytes(self.inner.lookup_key.check_value()),
            "customer": customer.id(),
            "members": ids,
            "clock": clock,
            "alarm": customer.alarm(),
            "digest": folded.digest(),
            "erased": customer.is_erased(),
            "personal": self.personal(customer.id()).await?,
            "card": card,
            "identifiers": identifiers,
            "stated_identifiers": stated,
            "suppressed": self.suppressed_out(&whole).await?,
            "consents": consents,
            "ties": ties,
            "numbers": numbers,
            "sets": sets,
            "search_tokens": tokens,
            "personal_rows": rows,
            "events": events,
            "changes": changes,
            "scores": scores,
            "requests": requests,
            "claims": claims,
            "listed": listed,
            "outbox": outbox,
        }))
    }

    fn open_rows(
        &self,
        customer: CustomerId,
        key: Option<&PersonKey>,
        sealed: Vec<(SmolStr, Vec<u8>)>,
    ) -> Result<Vec<RowOut>, Error> {
        let open = |(name, sealed): (SmolStr, Vec<u8>)| {
            let key = key.ok_or(PersonalError::NoKey)?;
            let opened = key.open(&Place { tenant: &self.tenant, customer, field: &name }, &sealed)?;
            let damaged = |_| PersonalError::Damaged { field: name.to_string() };
            let value = String::from_utf8(opened).map_err(damaged)?;
            Ok(RowOut { customer, name, value })
        };
        sealed.into_iter().map(open).collect()
    }

    /// Those of some keys that customers have.
    async fn claims_out(&self, ids: &[CustomerId], mut keys: Vec<ClaimKey>) -> Result<Vec<ClaimOut>, Error> {
        keys.sort_unstable();
        keys.dedup();
        let owners = self.store().resolve(&self.tenant, &keys).await?;
        let owned = keys.into_iter().zip(owners).filter_map(|(key, owner)| Some((key, owner?)));
        let ours = owned.filter(|(_, owner)| ids.contains(&owner.customer));
        Ok(ours.map(|(key, owner)| claim_out(Claim { key, customer: owner.customer, event: owner.event })).collect())
    }

    /// Which addresses on the card are suppressed, since when and why.
    async fn suppressed_out(&self, card: &Card) -> Result<Vec<Value>, Error> {
        let mut all = Vec::new();
        for point in card.contact_points() {
            let address = match point.kind() {
                ContactKind::Email => Identifier::email(point.value()).ok(),
                ContactKind::Phone | ContactKind::Mobile | ContactKind::Fax => Identifier::phone(point.value()).ok(),
                ContactKind::Messaging | ContactKind::Web => None,
            };
            let Some(address) = address else { continue };
            if let Some(suppressed) = self.is_suppressed(&address).await? {
                let reason = format!("{:?}", suppressed.reason);
                all.push(json!({ "address": point.value(), "since": suppressed.since, "reason": reason }));
            }
        }
        Ok(all)
    }

    async fn all_dead(&self) -> Result<BTreeMap<EventId, Dead>, Error> {
        let mut all = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.store().dead_letters(&self.tenant, after.as_ref(), PAGE).await?;
            let Some(last) = page.last().cloned() else { return Ok(all) };
            for letter in page {
                all.insert(letter.entry.id, Dead { attempts: letter.attempts, reason: letter.reason });
            }
            after = Some(last);
        }
    }

    /// All definitions with all their versions, as JSON that
    /// [`import_definitions`](Self::import_definitions) takes in: what happened is folded by them.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn export_definitions(&self) -> Result<Value, Error> {
        let definitions = self.definitions().await?;
        Ok(json!({ "format": super::import::DEFINITIONS_FORMAT, "definitions": definitions.all() }))
    }
}

/// Everything that somebody may be found by: identifiers, numbers of orders and cases, and gift cards.
fn claims_in(events: &[Event]) -> Vec<ClaimKey> {
    let mut keys: Vec<ClaimKey> = identifiers_in(events).iter().map(identifier_claim).collect();
    keys.extend(events.iter().filter_map(|event| match &event.body {
        EventBody::Fact(fact) => number_claim(fact),
        EventBody::Decision(decision) => issued_card(&decision.deed),
        EventBody::Unrecognised { .. } => None,
    }));
    keys
}

fn claim_out(Claim { key, customer, event }: Claim) -> ClaimOut {
    ClaimOut { customer, event, kind: key.kind, key: to_hex(&key.key) }
}

/// Where else somebody may stand but on the lists of those who share an identifier: of those who stated one, and under the fact by which
/// they were met when nothing else leads to them.
pub(super) fn places_in(events: &[Event]) -> Vec<ClaimKey> {
    let mut keys: Vec<ClaimKey> = identifiers_in(events).iter().flat_map(stated_claims).collect();
    // Such a fact is followed by what was stated with it.
    keys.extend(events.iter().filter_map(|event| match &event.body {
        EventBody::Decision(decision) => attached(&decision.deed).and(event.cause).map(newcomer_claim),
        EventBody::Fact(_) | EventBody::Unrecognised { .. } => None,
    }));
    keys
}

/// The fold of a whole history, up to a customer's clock, with the scores under their id.
pub(super) fn fold(
    head: CustomerId,
    events: &[Event],
    clock: Option<Timestamp>,
    scores: impl Iterator<Item = (ScoreName, Score)>,
    definitions: &crm_core::Definitions,
) -> Customer {
    let until = clock.or_else(|| events.iter().map(|event| event.at).max()).unwrap_or(Timestamp::MIN);
    let events = events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
    Customer::replay(head, events, until, definitions).with_scores(scores, definitions)
}

/// JSON whose only order is that of the alphabet.
pub(super) fn sorted(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes.to_vec())
}

fn score_out(customer: CustomerId, row: ScoreRow) -> ScoreOut {
    let ScoreRow { plugin, output, at, value, version, digest, input, inputs, recorded_at, terms } = row;
    let terms = ScoreTerms::decode(&terms).ok().filter(|terms| *terms != ScoreTerms::default());
    let inputs = ScoreInputs::decode(&inputs)
        .ok()
        .map(|inputs| inputs.0.into_iter().map(|(attribute, value)| InputOut { attribute, value }).collect());
    ScoreOut { customer, plugin, output, at, value, version, digest, input, inputs, recorded_at, terms }
}

fn request_out(customer: CustomerId, row: RequestRow) -> RequestOut {
    let RequestRow { key, digest, answer } = row;
    RequestOut { customer, key: SmolStr::new(key.as_str()), digest, answer: Body::of(&answer, sorted) }
}

fn outbox_out(entry: OutboxEntry, dead: &BTreeMap<EventId, Dead>) -> OutboxOut {
    let OutboxEntry { id, customer, topic, due_at, body } = entry;
    let dead = dead.get(&id).map(|dead| Dead { attempts: dead.attempts, reason: dead.reason.clone() });
    OutboxOut { customer, id, topic, due_at, body: Body::of(&body, sorted), dead }
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?)).collect()
}

/// Whether a personal row is the JSON of something that was told for a card.
pub(super) fn is_telling(name: &str) -> bool {
    is_of_card(name)
}
