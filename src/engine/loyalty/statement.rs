//! A customer's statement, and the same as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use crm_core::event::Event;
use crm_core::loyalty::report::{AccountStatement, PointsStanding, Posted, StatementLine};
use crm_core::loyalty::{PostingKind, ProgramId};
use crm_core::workflow::Actor;
use crm_core::{CustomerId, EventId, SmolStr, Timestamp};
use crm_storage::{Parts, RequestRow};
use serde::Deserialize;

use super::{Crm, PAGE, known};
use crate::error::Error;
use crate::incoming::Who;

/// Of what a store keeps about customers: the requests that were carried out.
const REQUESTS: Parts = Parts { traits: false, scores: false, personal: false, requests: true, outbox: false };

/// What a request was answered with, as far as it names decisions.
#[derive(Deserialize)]
struct Answered {
    events: LedTo,
}

/// The decisions about one customer, or about two.
#[derive(Deserialize)]
#[serde(untagged)]
enum LedTo {
    One(Vec<EventId>),
    Two([Vec<EventId>; 2]),
}

/// What happened to one customer's points in one programme over a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Whose. For somebody who was merged, the one as whom they go on; it has the postings of all members.
    pub customer: CustomerId,
    /// In which programme.
    pub program: ProgramId,
    /// The lines, with what was there before and after them.
    pub account: AccountStatement,
}

impl Crm {
    /// What happened to a customer's points in a programme, from an instant on and before another one; none if nobody
    /// is found. Of somebody who was merged it tells of all members, also of the time before, and each posting once;
    /// whoever was parted has their own only. What is due by now and was not worked off is not among it: call
    /// [`advance`](Self::advance) first where time has passed.
    ///
    /// Reads the whole history, and decodes the postings of it; and the requests, for their keys.
    ///
    /// ```
    /// use crm::{Crm, Currency, Definition, Identifier, Incoming, Money, OrderPlaced, Program, ProgramId};
    /// use crm::{Source, Timestamp};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let points = ProgramId::new("points")?;
    /// let program = Definition::Program(points.clone(), Some(Program::point_per_unit(Currency::EUR)));
    /// crm.define(Timestamp::parse("2020-01-01")?, program).await?;
    /// let ana = Identifier::email("ana@example.com")?;
    /// let order = OrderPlaced::new(Money::parse("49.90", Currency::EUR)?);
    /// crm.record(Incoming::new(&ana, crm.now(), Source::new("shop")?, order)).await?;
    ///
    /// let statement = crm.statement(&ana, &points, Timestamp::MIN, Timestamp::MAX).await?.expect("just recorded");
    /// assert_eq!((statement.account.lines.len(), statement.account.closing.balance()), (1, 49));
    /// let mut table = Vec::new();
    /// statement.to_csv(&mut table)?;
    /// assert_eq!(String::from_utf8(table)?.lines().count(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Refused` with `NoProgram` if there never was such a programme, `Storage` if the store failed.
    pub async fn statement(
        &self,
        who: impl Into<Who> + Send,
        program: &ProgramId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Statement>, Error> {
        known(&*self.definitions().await?, program)?;
        let Some(customer) = self.customer(who).await? else { return Ok(None) };
        let mut postings = Vec::new();
        for member in customer.members() {
            postings.extend(self.postings_of(member, program).await?);
        }
        let keys = self.keys_of(customer.members(), &postings).await?;
        let key = |event: &Event| keys.get(&event.id).map(SmolStr::as_str);
        let posted = postings.iter().filter_map(|event| Some(Posted::of(event)?.under(key(event))));
        let account = AccountStatement::of(program, posted, from, until);
        Ok(Some(Statement { customer: customer.id(), program: program.clone(), account }))
    }

    /// Under which key each of some postings was asked for: by a request of the customer's, or of the other one's whom a
    /// gift or a pool was with. Costs a look-up of the requests of each.
    async fn keys_of(
        &self,
        members: impl Iterator<Item = CustomerId>,
        postings: &[Event],
    ) -> Result<BTreeMap<EventId, SmolStr>, Error> {
        let others = postings.iter().filter_map(|event| {
            let (PostingKind::Given { to: other, .. } | PostingKind::Received { from: other, .. }) =
                &Posted::of(event)?.posting.kind
            else {
                return None;
            };
            Some(*other)
        });
        let of: BTreeSet<CustomerId> = members.chain(others).collect();
        let own: BTreeSet<EventId> = postings.iter().map(|event| event.id).collect();
        let mut keys = BTreeMap::new();
        for page in of.into_iter().collect::<Vec<_>>().chunks(PAGE) {
            for details in self.store().details(&self.tenant, page, REQUESTS).await?.into_iter().flatten() {
                for RequestRow { key, answer, digest: _ } in details.requests {
                    // Answers of other requests have other shapes, and lead to no points.
                    let Ok(Answered { events }) = serde_json::from_slice(&answer) else { continue };
                    let led_to = match events {
                        LedTo::One(events) => events,
                        LedTo::Two(both) => both.concat(),
                    };
                    let led_to = led_to.into_iter().filter(|event| own.contains(event));
                    keys.extend(led_to.map(|event| (event, SmolStr::new(key.as_str()))));
                }
            }
        }
        Ok(keys)
    }
}

impl Statement {
    /// The columns of [`to_csv`](Self::to_csv): when it happened and when it was recorded (RFC 3339, UTC); what it was,
    /// with its points; what it did to each bucket, to the debt, and to what the programme bears; the same after it,
    /// with the balance, which is what is active less what is owed; who decided (`rule`, `shop` or `plugin:…`); the
    /// event behind it; what it is about (an order, a hold, the other customer) and the reason that was given; whose
    /// book it is in, the id of the posting, and the key of the request that asked for it.
    pub const COLUMNS: [&str; 22] = [
        "at",
        "recorded_at",
        "kind",
        "points",
        "pending",
        "active",
        "held",
        "owed",
        "borne",
        "pending_after",
        "active_after",
        "held_after",
        "owed_after",
        "balance_after",
        "by",
        "cause",
        "about",
        "reason",
        "customer",
        "program",
        "posting",
        "key",
    ];

    /// Writes it as a table (RFC 4180, UTF-8, lines end with CR LF): the names of the columns, a row `opening`, one for
    /// each line, and a row `closing`.
    ///
    /// A text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return would be run as a formula by programs
    /// that calculate: it gets an apostrophe before it. Numbers do not, also where they are negative.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub fn to_csv(&self, writer: impl Write) -> std::io::Result<()> {
        let mut table = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(writer);
        table.write_record(Self::COLUMNS)?;
        let AccountStatement { from, until, opening, lines, closing } = &self.account;
        table.write_record(self.total(*from, "opening", opening))?;
        for line in lines {
            table.write_record(self.row(line))?;
        }
        table.write_record(self.total(*until, "closing", closing))?;
        table.flush()
    }

    fn total(&self, at: Timestamp, kind: &str, after: &PointsStanding) -> [String; 22] {
        let mut row: [String; 22] = Default::default();
        (row[0], row[2]) = (at.to_string(), kind.to_owned());
        standing(&mut row[9..14], after);
        (row[18], row[19]) = (self.customer.to_string(), harmless(self.program.as_str()));
        row
    }

    fn row(&self, line: &StatementLine) -> [String; 22] {
        let StatementLine { id, customer, at, recorded_at, kind, points, change, borne, by, cause, key, after } = line;
        let mut row: [String; 22] = Default::default();
        (row[0], row[1]) = (at.to_string(), recorded_at.to_string());
        (row[2], row[3], row[8]) = (kind.name().to_owned(), points.to_string(), borne.to_string());
        standing(&mut row[4..8], change);
        standing(&mut row[9..14], after);
        row[14] = match by {
            Actor::Rule => "rule".to_owned(),
            Actor::Shop => "shop".to_owned(),
            Actor::Plugin(stamp) => harmless(&format!("plugin:{}", stamp.name)),
        };
        row[15] = cause.map(|cause| cause.to_string()).unwrap_or_default();
        let (about, reason) = about(kind);
        (row[16], row[17]) = (harmless(&about), harmless(reason));
        (row[18], row[19], row[20]) = (customer.to_string(), harmless(self.program.as_str()), id.to_string());
        row[21] = harmless(key.as_deref().unwrap_or_default());
        row
    }
}

/// Into cells for pending, active, held and owed points, and the balance where there is a cell for it.
fn standing(cells: &mut [String], standing: &PointsStanding) {
    let PointsStanding { pending, active, held, owed } = *standing;
    for (cell, points) in cells.iter_mut().zip([pending, active, held, owed, standing.balance()]) {
        *cell = points.to_string();
    }
}

/// A text that no program takes for a formula.
fn harmless(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if formula { format!("'{text}") } else { text.to_owned() }
}

/// What a posting is about, and the reason that was given.
fn about(kind: &PostingKind) -> (String, &str) {
    let order = |order: Option<&crm_core::order::OrderRef>| order.map(|order| order.to_string()).unwrap_or_default();
    match kind {
        PostingKind::Awarded { reason }
        | PostingKind::Imported { reason }
        | PostingKind::Reinstated { reason }
        | PostingKind::Adjusted { reason }
        | PostingKind::Forfeited { reason } => (String::new(), reason.as_str()),
        PostingKind::Spent { reason, order: of, .. } => (order(of.as_ref()), reason.as_str()),
        PostingKind::Captured { hold, reason, order: of, .. } => {
            (of.as_ref().map_or_else(|| hold.to_string(), |of| of.to_string()), reason.as_str())
        }
        PostingKind::Held { hold, .. } | PostingKind::Released { hold, .. } => (hold.to_string(), ""),
        PostingKind::Returned { order } => (order.to_string(), ""),
        PostingKind::Undone { order: of, reason, .. } => (order(of.as_ref()), reason.as_str()),
        PostingKind::Given { to, reason, .. } => (to.to_string(), reason.as_str()),
        PostingKind::Received { from, reason } => (from.to_string(), reason.as_str()),
        PostingKind::Settled { with } => (with.to_string(), ""),
        PostingKind::Pooled { pool, .. } => (pool.to_string(), ""),
        PostingKind::Earned { .. }
        | PostingKind::Activated
        | PostingKind::Reversed { .. }
        | PostingKind::Expired { .. } => (String::new(), ""),
        // What is not known here has a name, and lines of its own in the history.
        _ => (String::new(), ""),
    }
}
