//! What is written: all that one decision changes, in one value.

use crm_core::{Alarm, Columns, CustomerId, Digest, EventId, SetKey, SmolStr, Timestamp};
use serde::{Deserialize, Serialize};

use crate::row::{ChangeRow, EventRow, ScoreKey, ScoreRow, StateRow, masked};

/// How many commits have written a customer's state: 1 after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

/// What a write expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// No such customer.
    New,
    /// The customer as of this version.
    At(Version),
}

/// All that one decision changes. A store applies all of it or none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// Makes the commit happen once: judged before anything else.
    pub request: Option<Request>,
    /// What is written for each customer; a customer comes at most once.
    pub writes: Vec<CustomerWrite>,
    /// Unique keys that are given up, before any is taken.
    pub releases: Vec<Release>,
    /// Unique keys that are taken.
    pub claims: Vec<Claim>,
    /// Counters that are moved.
    pub counters: Vec<CounterStep>,
    /// What the host is to be told.
    pub outbox: Vec<OutboxEntry>,
    /// What the host was to be told and was given up, for a history that is written anew.
    pub dead_letters: Vec<GivenUp>,
}

impl Commit {
    /// The longest name in bytes that rows are found by: of a kind of key, of a counter, of a plugin and of its
    /// output, of a personal field, of a topic. With the longest of each, an entry in an index stays within the
    /// third of a page that PostgreSQL allows it.
    pub const NAME_MAX_BYTES: usize = 1024;
}

/// The key under which a caller may send a request again without its being carried out again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(SmolStr);

impl IdempotencyKey {
    /// The longest key in bytes.
    pub const MAX_BYTES: usize = 255;

    /// A key of 1 to 255 bytes, taken as it is; none for any other length.
    #[must_use]
    pub fn new(key: &str) -> Option<Self> {
        (1..=Self::MAX_BYTES).contains(&key.len()).then(|| IdempotencyKey(SmolStr::new(key)))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A request that is carried out once for a customer.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Whose request; keys of different customers have nothing to do with each other.
    pub customer: CustomerId,
    /// The caller's key.
    pub key: IdempotencyKey,
    /// Of the request's body: the same key with another digest is an error.
    pub digest: Digest,
    /// What is answered now, and whenever the key comes again.
    pub answer: Vec<u8>,
}

/// What is written for one customer.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomerWrite {
    /// Who.
    pub customer: CustomerId,
    /// The version this was decided on.
    pub expected: Expected,
    /// The state afterwards. With it the version rises by one. Without it the customer must be there,
    /// the version is checked and stays, and there may be no events, no alarm and nothing personal: this is
    /// for scores, which are not part of the state.
    pub state: Option<StateRow>,
    /// What the store may choose customers by: all of it, in the place of what was there. Written with the
    /// state, and left alone without one.
    pub traits: Traits,
    /// What happened, in this order. An id that the customer has already is an error.
    pub events: Vec<EventRow>,
    /// What moved, in this order.
    pub changes: Vec<ChangeRow>,
    /// How many of the events stand before each change, if some stand behind one: a number for each change, none less
    /// than the one before it. Otherwise empty, and all events stand before the changes. For a history that is written
    /// anew.
    pub changes_after: Vec<u32>,
    /// How the customer's alarm moves.
    pub alarm: Option<AlarmMove>,
    /// Scores; one for the same plugin, output and instant is replaced.
    pub scores: Vec<ScoreRow>,
    /// Scores that go, before any is written. One that is not there is gone already.
    pub scores_gone: Vec<ScoreKey>,
    /// What moves among the personal rows, if anything does.
    pub personal: Option<Box<PersonalMove>>,
}

/// What a store keeps beside a state, so that it can choose customers itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traits {
    /// Numbers.
    pub columns: Columns,
    /// The sets that the customer is in, in order and each once.
    pub sets: Vec<SetKey>,
}

/// How a customer's personal rows move. They lie apart from everything else, so that they can be erased.
/// The store does not look into them; whoever writes them has sealed them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PersonalMove {
    /// The key that the values are sealed under, if it is kept here. None leaves it.
    pub key: Option<Vec<u8>>,
    /// The value of each field that moves; none takes it out. A field comes at most once, and its name has at
    /// most [`Commit::NAME_MAX_BYTES`] bytes.
    pub fields: Vec<(SmolStr, Option<Vec<u8>>)>,
    /// What the customer can be found by in a search: all of it, in the place of what was there, in any
    /// order; what comes twice counts once. None leaves it.
    pub tokens: Option<Vec<Token>>,
}

/// Shows what moves, and nothing of it.
impl std::fmt::Debug for PersonalMove {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields: Vec<(&SmolStr, Option<usize>)> =
            self.fields.iter().map(|(name, value)| (name, value.as_ref().map(Vec::len))).collect();
        f.debug_struct("PersonalMove")
            .field("key", &self.key.is_some())
            .field("bytes", &fields)
            .field("tokens", &self.tokens.as_ref().map(Vec::len))
            .finish()
    }
}

/// A keyed hash of something that a person is searched by, such as three letters of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token(pub [u8; 16]);

impl Traits {
    /// No numbers and no sets.
    pub const NONE: Traits = Traits { columns: Columns::NONE, sets: Vec::new() };
}

impl CustomerWrite {
    /// A write of a state, and of nothing else yet.
    #[must_use]
    pub const fn new(customer: CustomerId, expected: Expected, state: StateRow) -> Self {
        CustomerWrite {
            customer,
            expected,
            state: Some(state),
            traits: Traits::NONE,
            events: Vec::new(),
            changes: Vec::new(),
            changes_after: Vec::new(),
            alarm: None,
            scores: Vec::new(),
            scores_gone: Vec::new(),
            personal: None,
        }
    }

    /// A write of scores, which are not part of the state.
    #[must_use]
    pub const fn scores(customer: CustomerId, expected: Expected, scores: Vec<ScoreRow>) -> Self {
        CustomerWrite {
            customer,
            expected,
            state: None,
            traits: Traits::NONE,
            events: Vec::new(),
            changes: Vec::new(),
            changes_after: Vec::new(),
            alarm: None,
            scores,
            scores_gone: Vec::new(),
            personal: None,
        }
    }

    /// The events and changes in the order in which they are appended.
    pub fn appended(&self) -> impl Iterator<Item = Appended<'_>> {
        let (mut events, mut changes) = (self.events.iter(), self.changes.iter());
        let mut after = self.changes_after.iter();
        let mut room = after.next().map_or(usize::MAX, |after| *after as usize);
        std::iter::from_fn(move || {
            if room > 0
                && let Some(event) = events.next()
            {
                room -= 1;
                return Some(Appended::Event(event));
            }
            let change = changes.next()?;
            let before = self.events.len() - events.len();
            room = after.next().map_or(usize::MAX, |after| (*after as usize).saturating_sub(before));
            Some(Appended::Change(change))
        })
    }
}

/// An entry that is appended to a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended<'a> {
    /// Something that happened.
    Event(&'a EventRow),
    /// Something that moved.
    Change(&'a ChangeRow),
}

/// A customer has one alarm or none. Both sides are given, so that a store need not search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlarmMove {
    /// The alarm that was kept so far.
    pub from: Option<Alarm>,
    /// The alarm to keep.
    pub to: Option<Alarm>,
}

/// A key that one customer of a tenant can have, such as an identifier or an order number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey {
    /// What kind of key, such as `order`: at most [`Commit::NAME_MAX_BYTES`] bytes.
    pub kind: SmolStr,
    /// Any bytes, at most [`ClaimKey::MAX_BYTES`].
    pub key: Vec<u8>,
}

impl ClaimKey {
    /// The longest key in bytes.
    pub const MAX_BYTES: usize = 1024;
}

/// Takes a key for a customer. Taking it again for the same customer and event changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which key.
    pub key: ClaimKey,
    /// For whom.
    pub customer: CustomerId,
    /// By which event.
    pub event: EventId,
}

/// Gives up a key that a customer has. A commit that releases a key and claims it for somebody else moves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Which key.
    pub key: ClaimKey,
    /// Who has it. If that is not so, the commit is refused.
    pub customer: CustomerId,
}

/// Moves a counter that customers share, up to a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterStep {
    /// Which counter, by at most [`Commit::NAME_MAX_BYTES`] bytes; one that is not there stands at 0.
    pub name: SmolStr,
    /// By how much, either way.
    pub by: i64,
    /// What it may not exceed afterwards. It may not fall below 0 either.
    pub limit: i64,
}

/// Something that the host is to be told, at least once. One whose id is waiting already is left as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// The same whenever it is delivered.
    pub id: EventId,
    /// About whom.
    pub customer: CustomerId,
    /// What about, in at most [`Commit::NAME_MAX_BYTES`] bytes.
    pub topic: SmolStr,
    /// Not before.
    pub due_at: Timestamp,
    /// JSON.
    pub body: Vec<u8>,
}

/// Shows everything but the body, which may tell of a person.
impl std::fmt::Debug for OutboxEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let OutboxEntry { id, customer, topic, due_at, body } = self;
        f.debug_struct("OutboxEntry")
            .field("id", id)
            .field("customer", customer)
            .field("topic", topic)
            .field("due_at", due_at)
            .field("bytes", &body.len())
            .finish()
    }
}

/// An outbox entry that was given up elsewhere. It is a dead letter from the start, with the token 0, which no
/// lease has; and left out if one with its id is there, waiting or dead.
#[derive(Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// The entry.
    pub entry: OutboxEntry,
    /// How often it was leased.
    pub attempts: u32,
    /// Why it was given up.
    pub reason: SmolStr,
}

/// What became of a commit that was not refused.
#[derive(Clone, PartialEq, Eq)]
pub enum Committed {
    /// It was applied.
    Done {
        /// The versions of its customers now, in the order of its writes.
        versions: Vec<Version>,
    },
    /// Its request had been carried out before; nothing was changed.
    Replayed {
        /// The answer given then.
        answer: Vec<u8>,
    },
}

masked!(Request: customer, key, digest; answer);
masked!(GivenUp: entry, attempts; reason);

/// Shows how long an answer is, and nothing of it.
impl std::fmt::Debug for Committed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Committed::Done { versions } => f.debug_struct("Done").field("versions", versions).finish(),
            Committed::Replayed { answer } => write!(f, "Replayed({} bytes)", answer.len()),
        }
    }
}
