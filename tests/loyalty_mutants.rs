//! Ledgers that are broken on purpose, each in one way: the naive books have to notice every one of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "the other test uses more of it")]
mod auditor;

use auditor::{At, Book, DAY, Missing, Place, Rules};
use crm::loyalty::{
    AdjustPoints, Bucket, CaptureHold, HoldName, HoldPoints, LotMove, Pending, ReleaseHold, Shortfall, UndoPosting,
};
use crm::{
    AwardPoints, Command, Currency, Customer, CustomerId, Decision, Deed, Definition, Definitions, EventBody, EventId,
    Expiry, Fact, Money, OrderPlaced, OrderRef, PointsBook, Posting, PostingKind, Program, ProgramId, RedeemPoints,
    Refunded, Remark, Source, Span, TenantId, Timestamp,
};
use crm_core::DefinitionVersion;
use crm_core::customer::PointsStep;
use crm_core::workflow::Actor;

/// What a broken ledger posts instead of what it should.
type Breaks = fn(Posting, &PointsBook) -> Vec<Posting>;

/// Each way of being broken, by what it does wrong.
const MUTANTS: [(&str, Breaks); 17] = [
    ("forgets that points expire", |posting, _| never(posting, |kind| matches!(kind, PostingKind::Expired { .. }))),
    ("takes back twice", |posting, _| twice(posting, |kind| matches!(kind, PostingKind::Reversed { .. }))),
    ("does not take back", |posting, _| never(posting, |kind| matches!(kind, PostingKind::Reversed { .. }))),
    ("takes back one too few", |mut posting, _| {
        if let (PostingKind::Reversed { .. }, Some(change)) = (&posting.kind, posting.moves.first_mut()) {
            change.points += 1;
        }
        vec![posting]
    }),
    ("forgives what was spent already", |mut posting, _| {
        if matches!(posting.kind, PostingKind::Reversed { .. }) {
            posting.owed = 0;
        }
        vec![posting]
    }),
    ("bears nothing", |mut posting, _| {
        posting.owed += std::mem::take(&mut posting.borne);
        vec![posting]
    }),
    ("rounds what is earned up", |mut posting, _| {
        if let (PostingKind::Earned { .. }, Some(change)) = (&posting.kind, posting.moves.first_mut()) {
            change.points += 1;
        }
        vec![posting]
    }),
    ("gives pending points at once", |mut posting, _| {
        posting.moves.iter_mut().filter(|change| change.opens.is_some()).for_each(|change| {
            change.bucket = Bucket::Active;
        });
        vec![posting]
    }),
    ("never has a debt paid", |mut posting, _| {
        posting.owed = posting.owed.max(0);
        vec![posting]
    }),
    ("spends what lasts longest", |mut posting, book| {
        let latest = book.lots().iter().rev().find(|lot| lot.active >= 1);
        if let (PostingKind::Spent { .. }, [change], Some(lot)) = (&posting.kind, posting.moves.as_mut_slice(), latest)
            && lot.active >= -change.points
        {
            change.lot = lot.lot;
        }
        vec![posting]
    }),
    ("keeps what is released", |mut posting, _| {
        if matches!(posting.kind, PostingKind::Released { .. }) {
            posting.moves.retain(|change| change.bucket == Bucket::Held);
        }
        vec![posting]
    }),
    ("frees what is captured", |mut posting, _| {
        if matches!(posting.kind, PostingKind::Captured { .. }) {
            let free = |change: &LotMove| LotMove { bucket: Bucket::Active, points: -change.points, ..change.clone() };
            let free: Vec<LotMove> = posting.moves.iter().map(free).collect();
            posting.moves.extend(free);
        }
        vec![posting]
    }),
    ("holds without setting aside", |mut posting, _| {
        if matches!(posting.kind, PostingKind::Held { .. }) {
            posting.moves.retain(|change| change.bucket == Bucket::Held);
        }
        vec![posting]
    }),
    ("gives back twice what was paid", |posting, _| {
        twice(posting, |kind| matches!(kind, PostingKind::Returned { .. }))
    }),
    ("keeps what was paid", |posting, _| never(posting, |kind| matches!(kind, PostingKind::Returned { .. }))),
    ("undoes twice", |posting, _| twice(posting, |kind| matches!(kind, PostingKind::Undone { .. }))),
    ("adjusts the wrong way", |mut posting, _| {
        if matches!(posting.kind, PostingKind::Adjusted { .. }) {
            posting.moves.retain(|change| change.opens.is_none());
        }
        vec![posting]
    }),
];

fn twice(posting: Posting, of: fn(&PostingKind) -> bool) -> Vec<Posting> {
    if of(&posting.kind) { vec![posting.clone(), posting] } else { vec![posting] }
}

fn never(posting: Posting, of: fn(&PostingKind) -> bool) -> Vec<Posting> {
    if of(&posting.kind) { Vec::new() } else { vec![posting] }
}

fn program_id() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn reason() -> Remark {
    "test".parse().unwrap()
}

fn order_ref(order: u32) -> OrderRef {
    OrderRef::new(order.to_string()).unwrap()
}

fn instant(at: At) -> Timestamp {
    Timestamp::from_millis(at).unwrap()
}

fn definitions(rules: Rules) -> Definitions {
    let span = |millis: At| Span::millis(millis.unsigned_abs());
    let program = Program {
        pending: rules.pending.map_or(Pending::No, |wait| Pending::For(span(wait))),
        expiry: rules.expires.map_or(Expiry::Never, |lasts| Expiry::After(span(lasts))),
        shortfall: match rules.missing {
            Missing::Owed => Shortfall::Owed,
            Missing::OwedUpTo(most) => Shortfall::OwedUpTo(most.unsigned_abs()),
            Missing::Borne => Shortfall::Borne,
        },
        ..Program::point_per_unit(Currency::EUR)
    };
    let mut definitions = Definitions::default();
    let definition = Definition::Program(program_id(), Some(program));
    definitions.add(DefinitionVersion { from: Timestamp::MIN, definition }).unwrap();
    definitions
}

/// One customer whose ledger may be broken, with naive books beside it.
struct Ledger {
    definitions: Definitions,
    customer: Customer,
    naive: Book,
    breaks: Option<Breaks>,
    history: Vec<(EventId, EventBody)>,
    orders: u32,
    now: At,
    dice: u64,
    done: Vec<EventId>,
}

impl Ledger {
    fn below(&mut self, below: i64) -> i64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.dice >> 33) % below.unsigned_abs()).unwrap()
    }

    fn id(&self) -> CustomerId {
        self.customer.id()
    }

    /// Records a decision, as a broken ledger would. Gives the first one's id.
    fn post(&mut self, deed: Deed) -> Option<EventId> {
        let empty = PointsBook::default();
        let book = self.customer.book(&program_id()).unwrap_or(&empty);
        let deeds = match (deed, self.breaks) {
            (Deed::PointsPosted(posting), Some(breaks)) => {
                breaks(posting, book).into_iter().map(Deed::PointsPosted).collect()
            }
            (deed, _) => vec![deed],
        };
        let mut first = None;
        for deed in deeds {
            let id = EventId::of_decision(self.id(), self.customer.decisions());
            let decision = Decision { by: Actor::Shop, deed };
            self.customer.apply_decision_of(self.id(), instant(self.now), &decision);
            self.history.push((id, EventBody::Decision(decision)));
            first.get_or_insert(id);
        }
        first
    }

    fn tick(&mut self) {
        self.naive.tick(self.now);
        // A broken ledger may never be done.
        for _ in 0..100 {
            let Some(due) = self.customer.next_points(&self.definitions) else { break };
            if due > instant(self.now) {
                break;
            }
            for step in PointsStep::ALL {
                for (_, deed) in self.customer.points_due(step, due, &self.definitions) {
                    self.post(deed);
                }
            }
        }
    }

    fn fact(&mut self, fact: impl Into<Fact>) {
        let fact = fact.into();
        let key = self.history.len().to_string();
        let id = EventId::of_fact(&TenantId::default(), &Source::new("test").unwrap(), &key);
        let at = instant(self.now);
        let touched = self.customer.fold_fact(self.id(), id, at, &fact, &self.definitions, &mut Vec::new());
        self.history.push((id, EventBody::Fact(fact)));
        for (_, posting) in self.customer.reconcile_points(touched, &[], &self.definitions) {
            self.post(Deed::PointsPosted(posting));
        }
    }

    fn command(&mut self, command: Command) -> Option<EventId> {
        let deeds = command.decide(&self.customer, self.id(), instant(self.now), &self.definitions).ok()?;
        let ids: Vec<Option<EventId>> = deeds.into_iter().map(|deed| self.post(deed)).collect();
        ids.into_iter().flatten().next()
    }

    fn step(&mut self) -> Result<(), String> {
        self.now += 1 + self.below(DAY);
        self.tick();
        let (program, points, order) =
            (program_id(), 1 + self.below(120), self.below(i64::from(self.orders).max(1)) as u32);
        let paid = (self.orders > 0 && self.below(2) == 0).then_some(order);
        let hold = self.below(3) as u32;
        let name = HoldName::new(hold.to_string()).unwrap();
        let agree = |real: bool, naive: bool, what: &str| if real == naive { Ok(()) } else { Err(what.to_owned()) };
        match self.below(10) {
            0..=2 => {
                let euros = 1 + self.below(200);
                let placed = OrderPlaced::new(Money::new(euros * 100, Currency::EUR));
                self.fact(placed.with_order(order_ref(self.orders)));
                self.naive.order(self.orders, euros, self.now);
                self.orders += 1;
            }
            3 if self.orders > 0 => {
                let euros = 1 + self.below(150);
                self.fact(Refunded { order: Some(order_ref(order)), amount: Money::new(euros * 100, Currency::EUR) });
                self.naive.refund(order, euros);
            }
            4 => {
                let given = self.command(Command::AwardPoints(AwardPoints { program, points, reason: reason() }));
                self.naive.award(points, self.now);
                self.done.extend(given);
            }
            5 => {
                let order = paid.map(order_ref);
                let redeemed = self.command(Command::RedeemPoints(RedeemPoints {
                    program,
                    points,
                    reason: reason(),
                    order,
                    total: None,
                }));
                agree(redeemed.is_some(), self.naive.redeem(points, paid), "redeemed")?;
                self.done.extend(redeemed);
            }
            6 => {
                let held = self.command(Command::HoldPoints(HoldPoints { program, points, hold: name, until: None }));
                agree(held.is_some(), self.naive.hold(hold, points, None, self.now), "held")?;
            }
            7 => {
                let (points, order) = (Some(points), paid.map(order_ref));
                let capture = CaptureHold { program, hold: name, points, reason: reason(), order };
                let captured = self.command(Command::CaptureHold(capture));
                agree(captured.is_some(), self.naive.capture(hold, points, paid), "captured")?;
                self.done.extend(captured);
            }
            8 if !self.done.is_empty() => {
                let which = self.below(self.done.len() as i64) as usize;
                let undo = UndoPosting { posting: self.done[which], reason: reason() };
                let id = self.id();
                let history = self.history.iter().map(|(event, body)| (id, *event, body));
                let undone = self.customer.undo_posting(&undo, history, instant(self.now), &self.definitions);
                let (real, naive) = (undone.is_ok(), self.naive.undo(which));
                if let Ok((_, posting)) = undone {
                    self.post(Deed::PointsPosted(posting));
                }
                agree(real, naive, "undone")?;
            }
            9 if points % 2 == 0 => {
                let released = self.command(Command::ReleaseHold(ReleaseHold { program, hold: name }));
                agree(released.is_some(), self.naive.release(hold), "released")?;
            }
            _ => {
                let points = if points % 4 == 1 { points } else { -points };
                let adjusted = self.command(Command::AdjustPoints(AdjustPoints { program, points, reason: reason() }));
                agree(adjusted.is_some(), self.naive.adjust(points, self.now), "adjusted")?;
            }
        }
        self.tick();
        self.audit()
    }

    fn audit(&self) -> Result<(), String> {
        let empty = PointsBook::default();
        let (book, own) = (self.customer.book(&program_id()).unwrap_or(&empty), &self.naive);
        let real = [book.balance(), book.pending(), book.held(), book.owed().into()];
        let pending = own.sum(|place| matches!(place, Place::Pending(_)));
        let held = own.sum(|place| matches!(place, Place::Held(_)));
        let naive = [own.balance(), pending, held, own.owed.into()];
        let totals = book.totals();
        let real_totals = [totals.earned, totals.spent, totals.reversed, totals.expired, totals.adjusted];
        let naive_totals = [own.earned, own.spent, own.reversed, own.expired, own.adjusted];
        let mut ends = std::collections::BTreeMap::new();
        for lot in book.lots() {
            *ends.entry(lot.terms.expires_at.map(Timestamp::as_millis)).or_insert(0) += lot.left();
        }
        own.all.iter().for_each(|points| *ends.entry(points.expires).or_insert(0) -= points.points);
        if real != naive || real_totals != naive_totals || ends.values().any(|points| *points != 0) {
            return Err(format!("{real:?} {naive:?} {real_totals:?} {naive_totals:?} {ends:?}"));
        }
        Ok(())
    }
}

/// What the naive books notice in a run, if anything.
fn run(seed: u64, breaks: Option<Breaks>) -> Result<(), String> {
    let plain = Rules { pending: None, expires: None, missing: Missing::Owed, reinstate: None };
    let rules = match seed % 3 {
        0 => Rules { expires: Some(20 * DAY), ..plain },
        1 => Rules { pending: Some(3 * DAY), missing: Missing::OwedUpTo(30), ..plain },
        _ => Rules { pending: Some(2 * DAY), expires: Some(5 * DAY), missing: Missing::Borne, ..plain },
    };
    let mut ledger = Ledger {
        definitions: definitions(rules),
        customer: Customer::new(CustomerId::new(instant(0), [7; 10])),
        naive: Book::new(rules),
        breaks,
        history: Vec::new(),
        orders: 0,
        now: 20_000 * DAY,
        dice: seed * 7_919 + 1,
        done: Vec::new(),
    };
    (0..120).try_for_each(|_| ledger.step())
}

#[test]
fn a_sound_ledger_passes_and_every_broken_one_is_noticed() {
    for seed in 0..60 {
        assert_eq!(run(seed, None), Ok(()), "seed {seed}");
    }
    for (what, breaks) in MUTANTS {
        let noticed = (0..60).filter(|seed| run(*seed, Some(breaks)).is_err()).count();
        assert!(noticed > 0, "a ledger that {what} is not noticed");
    }
}
