//! What is kept, as it is written and read.

use crm_core::{Alarm, CustomerId, Digest, EventId, SetKey, SmolStr, Source, TenantId, Timestamp};

use crate::commit::{IdempotencyKey, OutboxEntry, Traits, Version};

/// A customer's state, encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct StateRow {
    /// In which shape.
    pub shape: u16,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A customer as they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerRow {
    /// Who.
    pub customer: CustomerId,
    /// How many commits wrote them.
    pub version: Version,
    /// The state.
    pub state: StateRow,
    /// The sets that the customer is in, in order: those of the last write of a state, and those that were added
    /// since. See [`Store::enrol`](crate::Store::enrol).
    pub sets: Vec<SetKey>,
}

/// Customers, and how recent the tenant's definitions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// In the order in which they were asked for; none for a customer who is not there.
    pub rows: Vec<Option<CustomerRow>>,
    /// The revision of the definitions: 0 when there are none.
    pub definitions: u64,
}

/// An event as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its id, unique within its customer.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// When it became known.
    pub recorded_at: Timestamp,
    /// Its kind.
    pub kind: SmolStr,
    /// The shape of its body.
    pub shape: u16,
    /// Where it came from, if from outside.
    pub source: Option<Source>,
    /// The event that caused it, if one did.
    pub cause: Option<EventId>,
    /// JSON.
    pub body: Vec<u8>,
}

/// A change as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// When it happened.
    pub at: Timestamp,
    /// Its kind.
    pub kind: SmolStr,
    /// JSON.
    pub body: Vec<u8>,
}

/// What was appended to a customer's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Something that happened.
    Event(EventRow),
    /// Something that moved.
    Change(ChangeRow),
}

/// Which entries of a history are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entries {
    /// Events only.
    Events,
    /// Changes only.
    Changes,
    /// Both, as they were committed: of one write, its events before its changes.
    All,
}

/// An entry in the feed of its lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRow {
    /// Its place: 1 for the first entry of the lane, and each one more than the one before it.
    pub position: u64,
    /// Of which tenant.
    pub tenant: TenantId,
    /// Of which customer.
    pub customer: CustomerId,
    /// What was appended.
    pub entry: Entry,
}

/// Where a consumer of the feed stands in a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedCursor {
    /// The position up to which it has seen everything; 0 at first.
    pub position: u64,
    /// How often the cursor was taken; 0 at first. Only who took it last can move it.
    pub epoch: u64,
}

/// What is done with a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorStep {
    /// It is looked at.
    Look,
    /// It is taken: its epoch rises by one, and whoever took it before can no longer move it.
    Take,
    /// It is moved forward.
    Move {
        /// As it was taken.
        epoch: u64,
        /// To which position: not before where it stands, and not past the end of the lane.
        to: u64,
    },
    /// It is moved back, so that what follows is seen again.
    Rewind {
        /// As it was taken.
        epoch: u64,
        /// To which position: not past where it stands.
        to: u64,
    },
}

/// Which details of customers are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// Numbers and sets.
    pub traits: bool,
    /// Scores.
    pub scores: bool,
    /// Personal rows with their key and how many search tokens there are.
    pub personal: bool,
    /// Requests that were carried out. Costs a search where a store keeps them by key alone.
    pub requests: bool,
    /// Outbox entries about the customer. Costs a search through the tenant's outbox.
    pub outbox: bool,
}

impl Parts {
    /// All of them.
    pub const ALL: Parts = Parts { traits: true, scores: true, personal: true, requests: true, outbox: true };
    /// Scores only.
    pub const SCORES: Parts = Parts { traits: false, scores: true, personal: false, requests: false, outbox: false };
    /// Personal rows only.
    pub const PERSONAL: Parts = Parts { traits: false, scores: false, personal: true, requests: false, outbox: false };
}

/// What is kept about a customer beside the state and the history. What was not asked for is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Details {
    /// Numbers and sets.
    pub traits: Traits,
    /// By plugin, output and instant.
    pub scores: Vec<ScoreRow>,
    /// The key that the personal fields are sealed under, as it was written.
    pub key: Option<Vec<u8>>,
    /// Personal fields by name, as they were written.
    pub personal: Vec<(SmolStr, Vec<u8>)>,
    /// How many search tokens there are.
    pub tokens: u64,
    /// By key.
    pub requests: Vec<RequestRow>,
    /// Entries that wait to be delivered, by when they are due and by id; dead ones last.
    pub outbox: Vec<OutboxEntry>,
}

/// A request that was carried out.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Its key.
    pub key: IdempotencyKey,
    /// Of its body.
    pub digest: Digest,
    /// What was answered.
    pub answer: Vec<u8>,
}

/// What was erased, and what is left of it elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// How many personal fields.
    pub fields: u64,
    /// Whether there was a key.
    pub key: bool,
    /// How many search tokens.
    pub tokens: u64,
    /// How many outbox entries.
    pub outbox: u64,
    /// How many keys were given up.
    pub claims: u64,
    /// What is left of them outside the rows.
    pub copies: Copies,
}

/// What is left of erased rows outside the rows themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    /// Nothing that the store knows of: its files hold no copy.
    Gone,
    /// Copies that could not be cleared because somebody is reading: erase again later.
    Pending,
    /// Copies in logs and backups, which stay until these expire. A store of which this is true says so of every
    /// erasure, also of one that found nothing: what was deleted before is in the logs as well.
    UntilLogsExpire,
}

/// A score that a plugin gave a customer.
#[derive(Clone, PartialEq)]
pub struct ScoreRow {
    /// The plugin's name.
    pub plugin: SmolStr,
    /// Which of its outputs.
    pub output: SmolStr,
    /// As of when.
    pub at: Timestamp,
    /// The score, always finite. The sign of a zero is not kept.
    pub value: f64,
    /// The version the plugin gives itself.
    pub version: SmolStr,
    /// SHA-256 of the plugin.
    pub digest: Digest,
    /// SHA-256 of what it was given.
    pub input: Digest,
    /// What it was given, as the engine writes it down: a store does not look into it. Empty if nothing was kept.
    pub inputs: Vec<u8>,
    /// When it was kept; none of one that is older than that this is noted.
    pub recorded_at: Option<Timestamp>,
    /// What it was made for and what was withheld from the plugin, as the engine writes it down: a store does not look
    /// into it. Empty if there is nothing to say, or nothing was kept.
    pub terms: SmolStr,
}

/// Which score: of what plugin, which of its outputs, and as of when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScoreKey {
    /// The plugin's name.
    pub plugin: SmolStr,
    /// Which of its outputs.
    pub output: SmolStr,
    /// As of when.
    pub at: Timestamp,
}

impl ScoreRow {
    /// Which score it is.
    #[must_use]
    pub fn key(&self) -> ScoreKey {
        ScoreKey { plugin: self.plugin.clone(), output: self.output.clone(), at: self.at }
    }

    /// Whether another one says the same, whenever either was kept.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let ScoreRow { plugin, output, at, value, version, digest, input, inputs, recorded_at: _, terms } = self;
        (plugin, output, at, value) == (&other.plugin, &other.output, &other.at, &other.value)
            && (version, digest, input) == (&other.version, &other.digest, &other.input)
            && (inputs, terms) == (&other.inputs, &other.terms)
    }
}

/// Which scores a [scan](crate::Store::scan) brings along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoresAsked {
    /// Of which plugin.
    pub plugin: SmolStr,
    /// Which of its outputs, each once.
    pub outputs: Vec<SmolStr>,
    /// As of when a score is wanted whole; of the others, only as of when they are.
    pub at: Timestamp,
}

/// What there is of one output's scores.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutputScores {
    /// As of when there are scores, oldest first.
    pub instants: Vec<Timestamp>,
    /// The one as of the instant that was asked for.
    pub known: Option<ScoreRow>,
}

/// A customer as they are kept, without the state.
#[derive(Debug, Clone, PartialEq)]
pub struct ScannedRow {
    /// Who.
    pub customer: CustomerId,
    /// How many commits wrote them.
    pub version: Version,
    /// In which shape their state is.
    pub shape: u16,
    /// Numbers and sets.
    pub traits: Traits,
    /// The scores that were asked for, one for each output, in the order in which they were asked for.
    pub scores: Vec<OutputScores>,
}

/// A page of a scan, and how recent the tenant's definitions are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scanned {
    /// In the order of their ids.
    pub rows: Vec<ScannedRow>,
    /// The revision of the definitions: 0 when there are none.
    pub definitions: u64,
}

/// A place in a list that is read page by page. Opaque: only the store that gave it can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub u64);

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where to go on; none at the end.
    pub next: Option<Cursor>,
}

/// Who has a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimOwner {
    /// The customer.
    pub customer: CustomerId,
    /// The event by which it was taken.
    pub event: EventId,
}

/// An alarm that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// What and when.
    pub alarm: Alarm,
    /// Whose.
    pub customer: CustomerId,
}

/// Fences a lease: only its holder can settle what was leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseToken(pub u64);

/// An outbox entry that the caller may work on until the lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// The entry.
    pub entry: OutboxEntry,
    /// To be shown when it is settled.
    pub token: LeaseToken,
    /// How often it has been leased, this time included.
    pub attempt: u32,
}

/// What became of a leased entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Which entry.
    pub id: EventId,
    /// The token of the lease.
    pub token: LeaseToken,
    /// What became of it.
    pub verdict: Verdict,
}

/// What is done with an outbox entry after a delivery was tried.
#[derive(Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Delivered: it goes.
    Done,
    /// Not delivered: it is due again then.
    Retry {
        /// When.
        at: Timestamp,
    },
    /// Not tried: it can be leased again at once, and the attempt does not count.
    GiveBack,
    /// Given up: it is a dead letter, which is kept and not leased. Each verdict does to a dead letter what it
    /// does to a leased entry: with its token it can be made to wait again, taken away, or given up for
    /// another reason.
    Dead {
        /// Why.
        reason: SmolStr,
    },
}

/// An outbox entry that was given up.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The entry.
    pub entry: OutboxEntry,
    /// How often it was leased.
    pub attempts: u32,
    /// Why it was given up.
    pub reason: SmolStr,
    /// To be shown when it is settled.
    pub token: LeaseToken,
}

/// A tenant's definitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefinitionRows {
    /// How many there are; rises with each.
    pub revision: u64,
    /// JSON, in the order in which they were added.
    pub rows: Vec<Vec<u8>>,
}

/// Prints every field but one, and of that one how many bytes it has: it may tell of a person.
macro_rules! masked {
    ($name:ident: $($shown:ident),*; $hidden:ident) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let $name { $($shown,)* $hidden } = self;
                let mut shown = f.debug_struct(stringify!($name));
                $(shown.field(stringify!($shown), $shown);)*
                shown.field(concat!("bytes of ", stringify!($hidden)), &$hidden.len()).finish()
            }
        }
    };
}
pub(crate) use masked;

masked!(StateRow: shape; bytes);
masked!(ScoreRow: plugin, output, at, value, version, digest, input, recorded_at, terms; inputs);
masked!(EventRow: id, at, recorded_at, kind, shape, source, cause; body);
masked!(ChangeRow: at, kind; body);
masked!(RequestRow: key, digest; answer);
masked!(DeadLetter: entry, attempts, token; reason);

impl std::fmt::Debug for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Verdict::Done => f.write_str("Done"),
            Verdict::Retry { at } => write!(f, "Retry({at})"),
            Verdict::GiveBack => f.write_str("GiveBack"),
            // A mail server's answer quotes the address.
            Verdict::Dead { reason } => write!(f, "Dead({} bytes)", reason.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::{Committed, GivenUp, Request};

    #[test]
    fn rows_print_nothing_of_what_they_hold() {
        let (id, customer) = (EventId::from_uuid(uuid::Uuid::nil()), CustomerId::from_uuid(uuid::Uuid::nil()));
        let at = Timestamp::MIN;
        let text = || b"Canary".to_vec();
        let event = EventRow {
            id,
            at,
            recorded_at: at,
            kind: "visited".into(),
            shape: 1,
            source: None,
            cause: None,
            body: text(),
        };
        let change = ChangeRow { at, kind: "stage_changed".into(), body: text() };
        let entry = OutboxEntry { id, customer, topic: "mail".into(), due_at: at, body: text() };
        let key = IdempotencyKey::new("key").unwrap();
        let digest = Digest::of(b"");
        let reason = SmolStr::new("550 Canary");
        let token = LeaseToken(1);
        let printed = [
            format!("{event:?} {change:?} {:?}", StateRow { shape: 1, bytes: text() }),
            format!(
                "{:?}",
                ScoreRow {
                    plugin: "churn".into(),
                    output: "risk".into(),
                    at,
                    value: 0.5,
                    version: "1".into(),
                    digest,
                    input: digest,
                    inputs: text(),
                    recorded_at: None,
                    terms: SmolStr::default(),
                }
            ),
            format!("{:?}", RequestRow { key: key.clone(), digest, answer: text() }),
            format!("{:?}", Request { customer, key, digest, answer: text() }),
            format!("{:?}", DeadLetter { entry: entry.clone(), attempts: 1, reason: reason.clone(), token }),
            format!("{:?}", GivenUp { entry, attempts: 1, reason: reason.clone() }),
            format!("{:?} {:?}", Verdict::Dead { reason }, Committed::Replayed { answer: text() }),
        ];
        let bytes = format!("{:?}", b"Canary").replace(['[', ']'], "");
        for printed in printed {
            assert!(!printed.contains("Canary") && !printed.contains(&bytes), "{printed}");
        }
    }
}
