//! What reacts to events and changes: plugins, or the host's own code.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crm_core::attribute::Attribute;
use crm_core::change::{Change, ChangeBody};
use crm_core::customer::{Command, Customer};
use crm_core::event::{Deed, Fact};
use crm_core::identity::LookupKey;
use crm_core::loyalty::ProgramId;
use crm_core::profile::{Card, Field};
use crm_core::workflow::{
    FieldName, FieldValue, Held, Identities, LOOKUP_KEY_BYTES_MAX, LOOKUP_KEYS_MAX, LookedUp, LookupKeyHash,
    NotGranted, PluginName, PluginStamp, SourceName,
};
use crm_core::{CustomerId, Definitions, Digest, EventId, SmolStr, TenantId, Timestamp};
use crm_storage::ScoreRow;

use crate::installed::Sources;
use crate::lookup::{Answer, Desk, LookupFault, LookupRecord, Wanted};

/// The most that a workflow may keep for one customer, in bytes.
const MEMORY_MAX: usize = 64 * 1024;

/// A value in a trigger. Numbers and texts print masked.
#[derive(Clone, PartialEq)]
pub enum TriggerValue {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number, always finite.
    Float(f64),
    /// A text.
    Text(SmolStr),
    /// The number of an order, a case or a contract, by which the shop finds a customer. Plugins are given a
    /// [pseudonym](WorkflowCall::called) of it.
    Reference(SmolStr),
}

impl std::fmt::Debug for TriggerValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TriggerValue::Bool(value) => write!(f, "Bool({value})"),
            TriggerValue::Int(_) => f.write_str("Int(***)"),
            TriggerValue::Float(_) => f.write_str("Float(***)"),
            TriggerValue::Text(_) => f.write_str("Text(***)"),
            TriggerValue::Reference(_) => f.write_str("Reference(***)"),
        }
    }
}

/// What a workflow is called for.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// The event; for a change or a score an id that follows from what it is.
    pub id: EventId,
    /// The kind of event or change, such as `order_placed` or `stage_changed`.
    pub kind: SmolStr,
    /// When it happened.
    pub at: Timestamp,
    /// What is known of it.
    pub fields: Vec<(SmolStr, TriggerValue)>,
}

/// A call of a workflow. Its memory prints masked.
pub struct WorkflowCall<'a> {
    /// What it is called for.
    pub trigger: &'a Trigger,
    /// The customer as of now, what it is called for included. A workflow of the shop's own sees all of it; what a
    /// plugin sees is for [`sees`](Self::sees) to say.
    pub customer: &'a Customer,
    /// As of when attributes are to be computed.
    pub at: Timestamp,
    /// The definitions in force.
    pub definitions: &'a Definitions,
    /// What the workflow returned for this customer the last time; empty at first.
    pub memory: &'a [u8],
    pub(crate) reach: Reach<'a>,
}

/// What a call reaches beside the customer.
pub(crate) struct Reach<'a> {
    pub(crate) plugin: &'a PluginName,
    pub(crate) held: Held<'a>,
    pub(crate) around: Around<'a>,
    pub(crate) card: Option<Card>,
    /// Where the call is one of the past: what was looked up for it then.
    pub(crate) record: Option<&'a LookupRecord<'a>>,
    pub(crate) notes: Mutex<Notes>,
}

/// What is around a plan: where it may look things up, and how things are called to plugins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) keys: &'a LookupKey,
    pub(crate) sources: &'a Sources,
    pub(crate) desk: &'a Desk,
}

/// What is to be noted of a call.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) looked_up: Vec<LookedUp>,
    pub(crate) refused: Option<NotGranted>,
    /// Where something was looked up of which there is no record, each time.
    pub(crate) unrecorded: Vec<SourceName>,
    /// What it has to wait for.
    pub(crate) wanted: Option<Box<Wanted>>,
}

impl std::fmt::Debug for WorkflowCall<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let WorkflowCall { trigger, customer, at, definitions: _, memory, reach: _ } = self;
        f.debug_struct("WorkflowCall")
            .field("trigger", trigger)
            .field("customer", customer)
            .field("at", at)
            .field("bytes of memory", &memory.len())
            .finish_non_exhaustive()
    }
}

impl WorkflowCall<'_> {
    /// An attribute of the customer, if it has a value.
    #[must_use]
    pub fn attribute(&self, attribute: Attribute) -> Option<i64> {
        attribute.of(self.customer, self.at, self.definitions.currency(self.at))
    }

    /// The programme to use where a workflow names none: the only one there is.
    #[must_use]
    pub fn only_program(&self) -> Option<&ProgramId> {
        let mut ids = self.definitions.program_ids();
        ids.next().filter(|_| ids.next().is_none())
    }

    /// Whether a feature is granted to it.
    #[must_use]
    pub fn sees(&self, feature: &str) -> bool {
        self.reach.held.sees(feature)
    }

    /// The fields of the card that it [asks for](Workflow::asks) and the shop grants by a view, as of now; none if
    /// there is no such field.
    #[must_use]
    pub fn card(&self) -> Option<&Card> {
        self.reach.card.as_ref()
    }

    /// What the customer is called to this plugin: always the same, after a merge what the one is called whom the
    /// others were merged into; and something else to every other plugin. The customer's id, if that is granted.
    #[must_use]
    pub fn customer_name(&self) -> SmolStr {
        self.called("customer", &self.customer.id().to_string())
    }

    /// What the event is called to this plugin, likewise.
    #[must_use]
    pub fn event_name(&self) -> SmolStr {
        self.called("event", &self.trigger.id.to_string())
    }

    /// What something is called to this plugin of which the shop has a number, such as an order: the number itself if
    /// that is granted.
    #[must_use]
    pub fn called(&self, what: &'static str, number: &str) -> SmolStr {
        match self.reach.held.identities() {
            Identities::Plain => SmolStr::new(number),
            Identities::Pseudonymous => {
                let hash = self.pseudonym(what, number);
                hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
            }
        }
    }

    /// Where to draw chance from: the same for a replay, and another one for each customer, event and plugin.
    #[must_use]
    pub fn seed(&self) -> u64 {
        let Trigger { id, kind, .. } = self.trigger;
        let [a, b, c, d, e, f, g, h, ..] = self.pseudonym("seed", &format!("{} {id} {kind}", self.customer.id()));
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    fn pseudonym(&self, what: &'static str, text: &str) -> [u8; 16] {
        let Around { tenant, keys, .. } = self.reach.around;
        keys.pseudonym(tenant, self.reach.plugin, what, text)
    }

    /// Looks a field of things up, by their keys, in a source of the shop's: one value for each key, none where there
    /// is no such thing. One plan sees one value, however often it is asked. What was looked up is recorded, with
    /// keyed hashes for the keys.
    ///
    /// # Errors
    ///
    /// `LookupFault` to be given back at once. Where the value has yet to be found out it is
    /// [`UnderWay`](LookupFault::UnderWay): the workflow is called again, with it at hand, at most
    /// [`LOOKUP_ROUNDS_MAX`](crate::LOOKUP_ROUNDS_MAX) times for one plan. Every other one is a fault of the call: the
    /// source is not granted, not there, or does not answer, or there are more than [`LOOKUP_KEYS_MAX`] keys or one of
    /// more than [`LOOKUP_KEY_BYTES_MAX`] bytes. A [backtest](crate::Crm::backtest_workflow) answers with what was
    /// recorded then, and is at fault where nothing was.
    pub fn look_up(
        &self,
        source: &SourceName,
        field: &FieldName,
        keys: &[&str],
    ) -> Result<Vec<Option<FieldValue>>, LookupFault> {
        if keys.len() > LOOKUP_KEYS_MAX || keys.iter().any(|key| key.len() > LOOKUP_KEY_BYTES_MAX) {
            return Err(LookupFault::Keys);
        }
        let Reach { held, around: Around { tenant, keys: secret, sources, desk }, record, .. } = &self.reach;
        if !held.may_look_up(source.as_str()) {
            self.notes().refused = Some(NotGranted::LookUp);
            return Err(LookupFault::NotGranted);
        }
        let hashed: Vec<(LookupKeyHash, SmolStr)> =
            keys.iter().map(|key| (secret.lookup(tenant, source, key), SmolStr::new(key))).collect();
        if let Some(record) = record {
            let Some(values) = record.values(source, field, &hashed) else {
                self.notes().unrecorded.push(source.clone());
                return Err(LookupFault::Unrecorded);
            };
            self.note(source, field, hashed, &values);
            return Ok(values);
        }
        if !sources.contains_key(source) {
            return Err(LookupFault::NoSource);
        }
        match desk.values(source, field, &hashed) {
            Answer::Here(values) => {
                self.note(source, field, hashed, &values);
                Ok(values)
            }
            Answer::Wanted(wanted) => {
                self.notes().wanted.get_or_insert(wanted);
                Err(LookupFault::UnderWay)
            }
            Answer::Not(why) => Err(why),
        }
    }

    fn note(
        &self,
        source: &SourceName,
        field: &FieldName,
        keys: Vec<(LookupKeyHash, SmolStr)>,
        values: &[Option<FieldValue>],
    ) {
        let keys = keys.into_iter().map(|(hash, _)| hash).collect();
        let looked_up = LookedUp { source: source.clone(), field: field.clone(), keys, values: values.to_vec() };
        let mut notes = self.notes();
        if !notes.looked_up.contains(&looked_up) {
            notes.looked_up.push(looked_up);
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.reach.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a workflow answers. Its memory prints masked.
#[derive(Clone, Default, PartialEq)]
pub struct WorkflowReply {
    /// What it asks for, in this order. Each is judged like a command of the shop.
    pub commands: Vec<Command>,
    /// What it wants to be given the next time it is called for this customer, at most 64 KiB; none
    /// leaves what is there.
    pub memory: Option<Vec<u8>>,
}

/// Checks that what a workflow wants to keep for a customer is not too much.
pub(crate) fn check_memory(memory: &[u8]) -> Result<(), PluginFault> {
    if memory.len() > MEMORY_MAX { Err(PluginFault::new("more memory than 64 KiB")) } else { Ok(()) }
}

impl std::fmt::Debug for WorkflowReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let WorkflowReply { commands, memory } = self;
        let bytes = memory.as_ref().map(Vec::len);
        f.debug_struct("WorkflowReply").field("commands", commands).field("bytes of memory", &bytes).finish()
    }
}

/// Why a plugin's answer could not be used. It never holds anything the plugin said itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct PluginFault {
    /// What went wrong, such as `deadline` or `unknown action`.
    pub kind: SmolStr,
}

impl PluginFault {
    /// A fault of a kind.
    #[must_use]
    pub fn new(kind: impl Into<SmolStr>) -> Self {
        PluginFault { kind: kind.into() }
    }
}

impl From<LookupFault> for PluginFault {
    fn from(fault: LookupFault) -> Self {
        PluginFault::new(fault.to_string())
    }
}

/// Whether a plugin is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breaker {
    /// It is.
    Closed,
    /// It is in quarantine after so many faults in a row: each call of it is a fault, until somebody clears it.
    Open {
        /// How many.
        faults: u32,
        /// What the last was, such as `deadline`.
        last: SmolStr,
    },
}

/// What a plugin asks for: it has as much of it as the shop grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asks {
    /// The features it wants to see.
    pub features: Vec<SmolStr>,
    /// The fields of the card that it wants to see.
    pub fields: Vec<Field>,
    /// The kinds of event and change that it listens to.
    pub events: Vec<SmolStr>,
    /// The actions that it may ask for.
    pub actions: Vec<SmolStr>,
    /// The sources that it looks things up in.
    pub lookups: Vec<SmolStr>,
}

impl Asks {
    const fn nothing() -> Self {
        Asks { features: Vec::new(), fields: Vec::new(), events: Vec::new(), actions: Vec::new(), lookups: Vec::new() }
    }
}

/// Reacts to events and changes. It has to be a pure function of the call: histories are replayed.
pub trait Workflow: std::fmt::Debug + Send + Sync {
    /// Who it is.
    fn stamp(&self) -> &PluginStamp;

    /// Whether it wants to be called for a kind of event or change.
    fn listens(&self, kind: &str) -> bool;

    /// What it wants to see and do. Of a workflow of the shop's own, which sees all of a customer, only the fields of
    /// the card matter.
    fn asks(&self) -> &Asks {
        static NOTHING: Asks = Asks::nothing();
        &NOTHING
    }

    /// Whether it is run. Code of the shop's own always is.
    fn breaker(&self) -> Breaker {
        Breaker::Closed
    }

    /// Reacts.
    ///
    /// # Errors
    ///
    /// `PluginFault` if it failed; the fault is recorded, and what it reacted to stays.
    fn handle(&self, call: &WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault>;
}

impl Trigger {
    pub(crate) fn of_fact(id: EventId, at: Timestamp, fact: &Fact) -> Self {
        use TriggerValue::{Int, Reference, Text};
        let mut fields: Vec<(SmolStr, TriggerValue)> = Vec::new();
        let mut put = |name: &'static str, value| fields.push((SmolStr::new_static(name), value));
        let channel = |channel: &crm_core::interaction::Channel| {
            Text(
                serde_json::to_value(channel).ok().and_then(|name| name.as_str().map(SmolStr::new)).unwrap_or_default(),
            )
        };
        match fact {
            Fact::Visited(visited) => put("channel", channel(&visited.channel)),
            Fact::Enquired(enquired) => put("channel", channel(&enquired.channel)),
            Fact::CartUpdated(cart) => put("items", Int(i64::from(cart.items))),
            Fact::OrderPlaced(placed) => {
                put("total", Int(placed.total.minor()));
                put("currency", Text(SmolStr::new(placed.total.currency().code())));
                put("lines", Int(placed.lines.len() as i64));
            }
            Fact::PaymentReceived(payment) => {
                put("amount", Int(payment.amount.minor()));
                put("currency", Text(SmolStr::new(payment.amount.currency().code())));
            }
            Fact::Refunded(refund) => {
                put("amount", Int(refund.amount.minor()));
                put("currency", Text(SmolStr::new(refund.amount.currency().code())));
            }
            Fact::OrderDelivered(delivered) => put("order", Reference(delivered.order.clone().into())),
            Fact::Tagged(tagged) => put("tag", Text(tagged.tag.clone().into())),
            Fact::Untagged(untagged) => put("tag", Text(untagged.tag.clone().into())),
            Fact::Enlisted(enlisted) => put("list", Text(enlisted.list.clone().into())),
            Fact::Unlisted(unlisted) => put("list", Text(unlisted.list.clone().into())),
            Fact::Tied(tied) => {
                put("tie", Text(SmolStr::new(tied.kind.name())));
                put("strength", Int(i64::from(tied.strength.per_mille())));
            }
            Fact::Untied(untied) => put("tie", Text(SmolStr::new(untied.kind.name()))),
            Fact::MessageReceived(message) => put("channel", channel(&message.channel)),
            Fact::CaseOpened(opened) => {
                put("case", Reference(opened.case.clone().into()));
                put("kind", Text(SmolStr::new_static(opened.kind.name())));
            }
            Fact::CaseClosed(closed) => {
                put("case", Reference(closed.case.clone().into()));
                put("outcome", Text(SmolStr::new_static(closed.outcome.name())));
            }
            Fact::CaseReopened(reopened) => put("case", Reference(reopened.case.clone().into())),
            Fact::AttributeSet(set) => put("attribute", Text(set.attribute.clone().into())),
            Fact::ContractSigned(crm_core::contract::ContractSigned { contract, value, .. })
            | Fact::ContractRenewed(crm_core::contract::ContractRenewed { contract, value, .. }) => {
                put("contract", Reference(contract.clone().into()));
                if let Some(value) = value {
                    put("amount", Int(value.minor()));
                    put("currency", Text(SmolStr::new(value.currency().code())));
                }
            }
            Fact::ContractEnded(ended) => put("contract", Reference(ended.contract.clone().into())),
            Fact::Custom(custom) => fields.extend(custom.fields.iter().map(|(name, value)| {
                let value = match value {
                    FieldValue::Bool(value) => TriggerValue::Bool(*value),
                    FieldValue::Int(value) => Int(*value),
                    FieldValue::Text(value) => Text(value.clone()),
                };
                (name.clone().into(), value)
            })),
            // Which identifier it was, and which event was voided, is nothing a workflow can use.
            Fact::Identified(_) | Fact::Voided(_) | _ => {}
        }
        Trigger { id, kind: fact.kind(), at, fields }
    }

    pub(crate) fn of_deed(id: EventId, at: Timestamp, deed: &Deed) -> Self {
        use TriggerValue::{Int, Reference, Text};
        let mut fields: Vec<(SmolStr, TriggerValue)> = Vec::new();
        let mut put = |name: &'static str, value| fields.push((SmolStr::new_static(name), value));
        match deed {
            Deed::PointsPosted(posting) => {
                put("program", Text(posting.program.clone().into()));
                put("posting", Text(SmolStr::new_static(posting.kind.name())));
                put("points", Int(i64::try_from(posting.points()).unwrap_or(i64::MAX)));
            }
            Deed::PointsReminded(reminded) => {
                put("program", Text(reminded.program.clone().into()));
                put("points", Int(reminded.points));
                put("expires_at", Int(reminded.expires_at.as_millis()));
            }
            Deed::CreditPosted(posting) => {
                put("currency", Text(posting.currency.code().into()));
                put("posting", Text(SmolStr::new_static(posting.cause.name())));
                put("minor", Int(i64::try_from(posting.minor()).unwrap_or(i64::MAX)));
            }
            Deed::CouponClaimed(claimed) => put("coupon", Text(claimed.coupon.clone().into())),
            Deed::CouponReserved(reserved) => put("coupon", Text(reserved.coupon.clone().into())),
            Deed::CouponRedeemed(redeemed) => {
                put("coupon", Text(redeemed.coupon.clone().into()));
                if let Some(order) = &redeemed.order {
                    put("order", Reference(order.clone().into()));
                }
            }
            Deed::CouponReleased(released) => put("coupon", Text(released.coupon.clone().into())),
            Deed::VoucherIssued(issued) => put("coupon", Text(issued.coupon.clone().into())),
            Deed::RewardClaimed(claimed) => {
                put("reward", Text(claimed.reward.clone().into()));
                put("points", Int(claimed.points));
            }
            Deed::RewardCancelled(cancelled) => put("reward", Text(cancelled.reward.clone().into())),
            Deed::BadgeEarned(earned) => put("badge", Text(earned.badge.clone().into())),
            Deed::TagAdded(added) => put("tag", Text(added.tag.clone().into())),
            Deed::TagRemoved(removed) => put("tag", Text(removed.tag.clone().into())),
            Deed::Notified(notified) => put("topic", Text(notified.topic.clone().into())),
            Deed::Remembered(_) | Deed::Faulted(_) | Deed::IdentifierAttached(_) | _ => {}
        }
        Trigger { id, kind: SmolStr::new_static(deed.kind()), at, fields }
    }

    pub(crate) fn of_change(customer: CustomerId, change: &Change) -> Self {
        let mut fields: Vec<(SmolStr, TriggerValue)> = Vec::new();
        let mut put =
            |name: &'static str, value: SmolStr| fields.push((SmolStr::new_static(name), TriggerValue::Text(value)));
        match &change.body {
            ChangeBody::StageChanged { from, to, .. } => {
                if let Some(from) = from {
                    put("from", SmolStr::new_static(from.name()));
                }
                if let Some(to) = to {
                    put("to", SmolStr::new_static(to.name()));
                }
            }
            ChangeBody::SegmentEntered { segment, because } | ChangeBody::SegmentLeft { segment, because } => {
                put("segment", segment.clone().into());
                if let Some(because) = because {
                    put("because", because.clone());
                }
            }
            ChangeBody::TierReached { program, from, to } => {
                put("program", program.clone().into());
                if let Some(from) = from {
                    put("from", from.clone().into());
                }
                put("to", to.clone().into());
            }
            ChangeBody::TierLost { program, from, to } => {
                put("program", program.clone().into());
                put("from", from.clone().into());
                if let Some(to) = to {
                    put("to", to.clone().into());
                }
            }
            ChangeBody::TierAtRisk { program, tier, on, missing } => {
                put("program", program.clone().into());
                put("tier", tier.clone().into());
                let mut number = |name, value| fields.push((SmolStr::new_static(name), TriggerValue::Int(value)));
                number("on", on.as_millis());
                if let Some(missing) = missing {
                    number("missing", i64::try_from(*missing).unwrap_or(i64::MAX));
                }
            }
            ChangeBody::ConsentChanged { purpose, channel, scope, from, to } => {
                put("purpose", purpose.clone().into());
                put("channel", SmolStr::new_static(channel.name()));
                if let Some(scope) = scope {
                    put("scope", scope.clone().into());
                }
                put("from", SmolStr::new_static(from.name()));
                put("to", SmolStr::new_static(to.name()));
            }
            _ => {}
        }
        let id = derived_id(&format!("{customer} {} {:?}", change.at.as_millis(), change.body));
        Trigger { id, kind: SmolStr::new_static(change.body.kind()), at: change.at, fields }
    }

    pub(crate) fn of_score(customer: CustomerId, at: Timestamp, score: &ScoreRow) -> Self {
        let fields = vec![
            (SmolStr::new_static("scorer"), TriggerValue::Text(score.plugin.clone())),
            (SmolStr::new_static("output"), TriggerValue::Text(score.output.clone())),
            (SmolStr::new_static("value"), TriggerValue::Float(score.value)),
        ];
        let id = derived_id(&format!("{customer} {} {} {}", score.plugin, score.output, at.as_millis()));
        Trigger { id, kind: SmolStr::new_static("scored"), at, fields }
    }
}

/// An id for what is no event.
fn derived_id(what: &str) -> EventId {
    let mut id = [0; 16];
    id.copy_from_slice(&Digest::of(what.as_bytes()).as_bytes()[..16]);
    EventId::from_uuid(uuid::Builder::from_custom_bytes(id).into_uuid())
}
