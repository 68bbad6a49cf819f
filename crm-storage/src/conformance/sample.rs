//! Rows to write. Numbers make them differ, and the same number makes the same row.

use crm_core::{
    Alarm, AlarmKind, Column, CustomerId, Digest, EventId, SetKey, SetKind, SmolStr, Source, TenantId, Timestamp,
};
use uuid::Uuid;

use crate::commit::{
    AlarmMove, Claim, ClaimKey, Commit, CounterStep, CustomerWrite, Expected, IdempotencyKey, OutboxEntry,
    PersonalMove, Release, Request, Token, Version,
};
use crate::row::{ChangeRow, ClaimOwner, Due, EventRow, ScoreKey, ScoreRow, StateRow};

pub(super) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).expect("a tenant's name")
}

/// Customers whose ids have the order of their numbers.
pub(super) fn customer(number: u64) -> CustomerId {
    CustomerId::from_uuid(Uuid::from_u128((u128::from(number) << 64) | 0x8000_0000_0000_0000))
}

/// Event ids whose order has nothing to do with that of their numbers, as that of hashes.
pub(super) fn event_id(number: u64) -> EventId {
    EventId::from_uuid(Uuid::from_u128(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)))
}

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).expect("an instant within the years 1 to 9999")
}

pub(super) fn state(number: u64) -> StateRow {
    StateRow { shape: 1, bytes: number.to_be_bytes().to_vec() }
}

pub(super) fn event(number: u64) -> EventRow {
    EventRow {
        id: event_id(number),
        at: at(number as i64),
        recorded_at: at(number as i64 + 1),
        kind: SmolStr::new_static("order_placed"),
        shape: 1,
        source: Some(Source::new("shop").expect("a source")),
        cause: None,
        body: format!("{{\"order\":{number}}}").into_bytes(),
    }
}

pub(super) fn change(number: u64) -> ChangeRow {
    ChangeRow {
        at: at(number as i64),
        kind: SmolStr::new_static("stage_changed"),
        body: number.to_string().into_bytes(),
    }
}

pub(super) fn score(plugin: &str, output: &str, millis: i64, value: f64) -> ScoreRow {
    ScoreRow {
        plugin: SmolStr::new(plugin),
        output: SmolStr::new(output),
        at: at(millis),
        value,
        version: SmolStr::new_static("1.0.0"),
        digest: Digest::of(plugin.as_bytes()),
        input: Digest::of(output.as_bytes()),
        inputs: output.as_bytes().to_vec(),
        recorded_at: None,
        terms: SmolStr::default(),
    }
}

pub(super) fn alarm(millis: i64, kind: AlarmKind) -> Alarm {
    Alarm { due_at: at(millis), kind }
}

pub(super) fn due(millis: i64, kind: AlarmKind, number: u64) -> Due {
    Due { alarm: alarm(millis, kind), customer: customer(number) }
}

pub(super) fn key(kind: &str, key: impl AsRef<[u8]>) -> ClaimKey {
    ClaimKey { kind: SmolStr::new(kind), key: key.as_ref().to_vec() }
}

pub(super) fn claim(claim_key: ClaimKey, customer_number: u64, event_number: u64) -> Claim {
    Claim { key: claim_key, customer: customer(customer_number), event: event_id(event_number) }
}

pub(super) fn release(claim_key: ClaimKey, customer_number: u64) -> Release {
    Release { key: claim_key, customer: customer(customer_number) }
}

pub(super) fn tag(name: &str) -> SetKey {
    SetKey::new(SetKind::Tag, name).expect("a set's name")
}

/// Search tokens whose order has nothing to do with that of their numbers.
pub(super) fn token(number: u64) -> Token {
    Token(*event_id(number).as_uuid().as_bytes())
}

/// Moves personal fields; one without a value is taken out.
pub(super) fn fields<const N: usize>(fields: [(&str, Option<&[u8]>); N]) -> PersonalMove {
    let fields = fields.map(|(name, value)| (SmolStr::new(name), value.map(<[u8]>::to_vec)));
    PersonalMove { fields: fields.into(), ..PersonalMove::default() }
}

/// Replaces the search tokens.
pub(super) fn tokens(numbers: impl IntoIterator<Item = u64>) -> PersonalMove {
    PersonalMove { tokens: Some(numbers.into_iter().map(token).collect()), ..PersonalMove::default() }
}

pub(super) fn owner(customer_number: u64, event_number: u64) -> ClaimOwner {
    ClaimOwner { customer: customer(customer_number), event: event_id(event_number) }
}

pub(super) fn step(name: &str, by: i64, limit: i64) -> CounterStep {
    CounterStep { name: SmolStr::new(name), by, limit }
}

pub(super) fn entry(number: u64, due_millis: i64) -> OutboxEntry {
    OutboxEntry {
        id: event_id(number),
        customer: customer(number),
        topic: SmolStr::new_static("mail"),
        due_at: at(due_millis),
        body: b"{}".to_vec(),
    }
}

/// A request whose digest and answer are those of a body.
pub(super) fn request(customer_number: u64, key: &str, body: &str) -> Request {
    Request {
        customer: customer(customer_number),
        key: IdempotencyKey::new(key).expect("a key"),
        digest: Digest::of(body.as_bytes()),
        answer: body.as_bytes().to_vec(),
    }
}

/// A write of a new customer.
pub(super) fn create(number: u64) -> CustomerWrite {
    CustomerWrite::new(customer(number), Expected::New, state(number))
}

/// A write of a customer who is at a version.
pub(super) fn update(number: u64, version: u64) -> CustomerWrite {
    CustomerWrite::new(customer(number), Expected::At(Version(version)), state(number + version))
}

/// A write of every kind of row that lies beside the state.
pub(super) fn with_details(write: CustomerWrite) -> CustomerWrite {
    let personal = PersonalMove { key: Some(b"wrapped".to_vec()), ..fields([("name", Some(b"Ann"))]) };
    write
        .column(Column::Orders, 3)
        .column(Column::Points, -7)
        .set(tag("vip"))
        .score(score("rfm", "total", 1, 0.5))
        .personal(PersonalMove { tokens: tokens([1, 2]).tokens, ..personal })
}

/// A write that leaves the state as it is.
pub(super) fn touch(number: u64, version: u64) -> CustomerWrite {
    CustomerWrite { state: None, ..update(number, version) }
}

impl CustomerWrite {
    pub(super) fn event(mut self, number: u64) -> Self {
        self.events.push(event(number));
        self
    }

    pub(super) fn change(mut self, number: u64) -> Self {
        self.changes.push(change(number));
        self
    }

    pub(super) fn score(mut self, score: ScoreRow) -> Self {
        self.scores.push(score);
        self
    }

    /// Without a score that was there.
    pub(super) fn without(mut self, plugin: &str, output: &str, millis: i64) -> Self {
        let (plugin, output) = (SmolStr::new(plugin), SmolStr::new(output));
        self.scores_gone.push(ScoreKey { plugin, output, at: at(millis) });
        self
    }

    /// With a number in a column.
    pub(super) fn column(mut self, column: Column, number: i64) -> Self {
        self.traits.columns.set(column, Some(number));
        self
    }

    /// In one more set.
    pub(super) fn set(mut self, set: SetKey) -> Self {
        let sets = &mut self.traits.sets;
        sets.push(set);
        sets.sort_unstable();
        self
    }

    pub(super) fn personal(mut self, moved: PersonalMove) -> Self {
        self.personal = Some(Box::new(moved));
        self
    }

    pub(super) fn alarm(mut self, from: Option<Alarm>, to: Option<Alarm>) -> Self {
        self.alarm = Some(AlarmMove { from, to });
        self
    }
}

impl From<CustomerWrite> for Commit {
    fn from(write: CustomerWrite) -> Self {
        Commit { writes: vec![write], ..Commit::default() }
    }
}
