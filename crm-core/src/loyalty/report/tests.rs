//! The reports over postings that are written by hand.

use super::*;
use crate::id::{Source, TenantId};
use crate::loyalty::book::PointsBook;
use crate::loyalty::*;
use crate::money::Currency;
use crate::text::Remark;
use crate::time::Timestamp;

fn id() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn reason() -> Remark {
    Remark::new("test").unwrap()
}

fn ana() -> CustomerId {
    CustomerId::new(at("2020-01-01"), [7; 10])
}

/// A book with all that was posted to it.
#[derive(Default)]
struct Kept {
    book: PointsBook,
    posted: Vec<(EventId, Timestamp, Posting)>,
}

impl Kept {
    fn post(&mut self, time: Timestamp, posting: Posting) {
        let tenant = TenantId::default();
        let id = EventId::of_fact(&tenant, &Source::new("test").unwrap(), &self.posted.len().to_string());
        self.book.apply(&posting);
        self.posted.push((id, time, posting));
    }

    fn give(&mut self, points: i64, earned: &str, ends: Option<&str>) {
        let terms = LotTerms::new(Origin::Award, at(earned), ends.map(at));
        let posting = Posting::new(id(), PostingKind::Awarded { reason: reason() });
        self.post(at(earned), self.book.give(posting, points, terms));
    }

    fn spend(&mut self, points: i64, time: &str) {
        let kind = PostingKind::Spent { reason: reason(), order: None, refunded: 0 };
        self.post(at(time), self.book.take(Posting::new(id(), kind), points, None, Shortfall::Owed));
    }

    fn expire(&mut self, time: &str) {
        if let Some(posting) = self.book.expire(&id(), at(time), |_| None, |_| None, None) {
            self.post(at(time), posting);
        }
    }

    fn posted(&self) -> impl Iterator<Item = Posted<'_>> + Clone {
        self.posted.iter().map(|(id, at, posting)| Posted {
            customer: ana(),
            id: *id,
            at: *at,
            recorded_at: *at,
            by: &Actor::Rule,
            cause: None,
            posting,
            key: None,
        })
    }

    fn liability(&self, time: &str) -> Liability {
        let redemption = Some(Redemption { points: 100, minor: 75, at_least: 0, up_to_percent: 100 });
        let program = Program { redemption, ..Program::point_per_unit(Currency::EUR) };
        let mut count = LiabilityCount::new(&program, at(time), Bands::default());
        count.add(self.posted());
        count.finish()
    }
}

#[test]
fn a_statement_carries_what_was_there_before_over_to_what_is_there_after() {
    let mut kept = Kept::default();
    kept.give(100, "2026-01-10", Some("2026-06-01"));
    kept.give(50, "2026-02-10", None);
    kept.spend(120, "2026-03-10");
    kept.expire("2026-06-01");
    let statement = AccountStatement::of(&id(), kept.posted(), at("2026-02-01"), at("2026-04-01"));
    assert_eq!((statement.opening.balance(), statement.closing.balance()), (100, 30));
    let lines: Vec<_> = statement.lines.iter().map(|line| (line.kind.name(), line.points, line.after.active)).collect();
    assert_eq!(lines, [("awarded", 50, 150), ("spent", -120, 30)]);
    // The end of a period belongs to the next one, and a period of nothing has no lines.
    let next = AccountStatement::of(&id(), kept.posted(), at("2026-04-01"), Timestamp::MAX);
    assert_eq!((next.opening, next.closing.balance()), (statement.closing, kept.book.balance()));
    let none = AccountStatement::of(&id(), kept.posted(), at("2026-04-01"), at("2026-02-01"));
    assert_eq!((none.lines.len(), none.opening), (0, none.closing));
    let other = ProgramId::new("other").unwrap();
    assert!(AccountStatement::of(&other, kept.posted(), Timestamp::MIN, Timestamp::MAX).lines.is_empty());
}

#[test]
fn a_trial_balance_adds_up_at_each_instant_and_tells_a_damaged_posting() {
    let mut kept = Kept::default();
    kept.give(100, "2026-01-10", Some("2026-06-01"));
    kept.spend(130, "2026-03-10");
    kept.give(50, "2026-04-10", Some("2026-06-01"));
    kept.expire("2026-06-01");
    let balance_at = |time: &str| {
        let mut balance = TrialBalance::new(at(time));
        balance.add(kept.posted().map(|posted| (posted.at, posted.posting)));
        assert!(balance.adds_up(), "{time}");
        balance
    };
    let sums = ["2026-01-09", "2026-01-10", "2026-03-10", "2026-04-10", "2026-06-01"]
        .map(|time| (balance_at(time).outstanding(), balance_at(time).postings));
    assert_eq!(sums, [(0, 0), (100, 1), (-30, 2), (20, 3), (0, 4)]);
    let end = balance_at("2027-01-01");
    assert_eq!(end.totals(), kept.book.totals());
    assert_eq!([Account::Issued, Account::Redeemed, Account::Expired].map(|of| end.of(of)), [-150, 130, 20]);
    assert_eq!((end.customers, balance_at("2026-01-09").customers), (1, 0));

    // A hold that took points and put them nowhere.
    let mut damaged = Posting::new(id(), PostingKind::Activated);
    damaged.moves.push(LotMove { lot: 0, bucket: Bucket::Active, points: -7, opens: None });
    let mut balance = TrialBalance::new(at("2026-01-01"));
    balance.add([(at("2026-01-01"), &damaged)].into_iter());
    assert!(!balance.adds_up());
}

#[test]
fn the_bands_of_a_liability_hold_every_point_once() {
    let mut kept = Kept::default();
    kept.give(100, "2026-01-01", None);
    kept.give(40, "2026-11-01", Some("2026-12-15"));
    kept.give(30, "2026-11-20", Some("2027-11-20"));
    kept.spend(15, "2026-11-21");
    let liability = kept.liability("2026-12-01");
    let ages: Vec<i128> = liability.by_age.iter().map(|band| band.sum.points).collect();
    assert_eq!(ages, [30, 25, 0, 100, 0, 0]);
    let ends: Vec<i128> = liability.by_expiry.iter().map(|band| band.sum.points).collect();
    assert_eq!(ends, [25, 0, 0, 30, 0]);
    assert_eq!((liability.without_end, liability.overdue), (BandSum { points: 100, lots: 1 }, BandSum::default()));
    assert_eq!((liability.gross(), liability.standing.outstanding()), (155, 155));
    // 155 points at 75 cents for 100: 116.25 cents, rounded up.
    assert_eq!([liability.minor(155), liability.minor(0), liability.minor(-5)], [Some(117), Some(0), Some(0)]);
    // As of an earlier instant nothing is known of what came later.
    assert_eq!(kept.liability("2026-11-10").gross(), 140);
    assert_eq!(kept.liability("2026-12-15").overdue.points, 25);
}

/// Each month 1,000 points that last until the end of the twelfth month after it: 200 are spent in the next month, 160
/// of what is left in the one after, and nothing later. So 640 of a thousand are lost, and of the youngest as many.
#[test]
fn breakage_follows_the_curve_of_those_before() {
    let mut kept = Kept::default();
    let month = |n: u32, day: u32| format!("{}-{:02}-{day:02}", 2024 + n / 12, n % 12 + 1);
    for n in 0..30 {
        kept.expire(&month(n, 1));
        let ends = month(n + 13, 1);
        // What is spent of a lot is told with the lot.
        let open: Vec<(u32, i64)> = kept.book.lots().iter().rev().take(2).map(|lot| (lot.lot, lot.active)).collect();
        for (place, (lot, _)) in open.iter().enumerate() {
            let points = [-200, -160][place];
            let mut spent = Posting::new(id(), PostingKind::Spent { reason: reason(), order: None, refunded: 0 });
            spent.moves.push(LotMove { lot: *lot, bucket: Bucket::Active, points, opens: None });
            kept.post(at(&month(n, 10)), spent);
        }
        kept.give(1_000, &month(n, 15), Some(&ends));
    }
    let liability = kept.liability("2026-07-01");
    let breakage = liability.breakage.as_ref().unwrap();
    assert_eq!(breakage.months, 30);
    assert_eq!((breakage.curve[0].redeemed, breakage.curve[0].at_risk), (0, 30_000));
    assert_eq!((breakage.curve[1].redeemed, breakage.curve[1].at_risk), (29 * 200, 29_000));
    assert_eq!((breakage.curve[2].redeemed, breakage.curve[2].at_risk), (28 * 160, 28 * 800));
    // The youngest two months have 1,000 and 800 left, and 360 and 160 of them are still to be spent.
    assert_eq!((breakage.redeemed, breakage.beyond), (360 + 160, 0));
    assert_eq!(breakage.lost, liability.gross() - 520);
    assert_eq!(breakage.redeemed_so_far, 29 * 200 + 28 * 160);
    let (so_far, lost) = (breakage.redeemed_so_far, breakage.lost);
    assert_eq!(breakage.recognised(), lost * so_far / (so_far + 520));
    assert_eq!(liability.expected(), 520);
}

#[test]
fn too_little_history_gives_no_breakage_and_endless_points_none_either() {
    let mut kept = Kept::default();
    assert_eq!(kept.liability("2026-01-01").breakage, Err(TooLittleHistory { months: 0, needed: BREAKAGE_MONTHS_MIN }));
    kept.give(1_000, "2024-01-15", None);
    assert_eq!(kept.liability("2024-12-31").breakage, Err(TooLittleHistory { months: 11, needed: 12 }));
    kept.spend(300, "2024-06-15");
    let liability = kept.liability("2025-01-01");
    let breakage = liability.breakage.as_ref().unwrap();
    assert_eq!((breakage.lost, breakage.beyond, breakage.redeemed), (0, 700, 0));
    assert_eq!((breakage.recognised(), liability.expected()), (0, 700));
}

fn balance(lots: Vec<ImportedLot>) -> ImportPoints {
    ImportPoints { program: id(), reason: reason(), lots, qualifying: Vec::new(), owed: 0 }
}

#[test]
fn a_balance_from_elsewhere_keeps_its_lots_and_what_is_owed_is_taken_from_the_soonest() {
    let now = at("2026-06-01");
    let lot = |points, earned: &str| ImportedLot::new(points, at(earned));
    let pending = ImportedLot { active_from: Some(at("2026-07-01")), ..lot(5, "2026-05-01") };
    let lots = vec![
        lot(100, "2025-01-01"),
        lot(40, "2025-02-01").expiring_at(at("2026-09-01")),
        lot(9, "2024-01-01").expiring_at(now),
        pending,
    ];
    let qualifying = [(70, "2025-01-01"), (30, "2025-02-01")].map(|(points, day)| Qualifying { points, at: at(day) });
    let import = ImportPoints { qualifying: qualifying.into(), owed: 60, ..balance(lots) };
    let sums = import.sums(now).unwrap();
    assert_eq!((sums.lots, sums.points, sums.expired_lots, sums.expired), (3, 145, 1, 9));
    assert_eq!((sums.qualifying, sums.owed, sums.outstanding()), (100, 60, 85));

    let mut book = PointsBook::default();
    for posting in import.decide(&book, now).unwrap() {
        assert_eq!(posting.entries().map(|(_, points)| points).sum::<i128>(), 0);
        book.apply(&posting);
    }
    assert_eq!((book.balance(), book.pending(), book.owed(), book.qualifying()), (80, 5, 0, 100));
    assert_eq!(book.totals().outstanding(), sums.outstanding());
    assert_eq!(book.qualifying_within(at("2025-02-01"), now), 30);
    let left: Vec<_> = book.lots().iter().map(|lot| (lot.lot, lot.left(), lot.terms.origin)).collect();
    assert_eq!(left, [(0, 80, Origin::Import), (2, 5, Origin::Import)]);

    // Whoever owes more than there is owes the rest, and what is brought along pays what was owed before.
    let owing = ImportPoints { owed: 100, ..balance(vec![lot(30, "2026-01-01")]) };
    let mut book = PointsBook::default();
    owing.decide(&book, now).unwrap().iter().for_each(|posting| book.apply(posting));
    assert_eq!((book.balance(), book.lots().len()), (-70, 0));
    balance(vec![lot(50, "2026-01-01"), lot(40, "2026-01-02")])
        .decide(&book, now)
        .unwrap()
        .iter()
        .for_each(|posting| book.apply(posting));
    assert_eq!((book.balance(), book.owed(), book.lots().len()), (20, 0, 1));
    // What is over leaves nothing to post.
    let over = balance(vec![lot(5, "2020-01-01").expiring_at(at("2021-01-01"))]);
    assert!(over.decide(&book, now).unwrap().is_empty());
}

#[test]
fn a_balance_that_cannot_be_is_refused_with_its_place() {
    let now = at("2026-06-01");
    let good = || ImportedLot::new(1, at("2026-01-01"));
    let refused = |lot: ImportedLot| balance(vec![good(), lot]).sums(now).unwrap_err();
    for points in [0, -1, i64::MIN, i64::MAX, LOYALTY_POINTS_MAX + 1] {
        assert_eq!(refused(ImportedLot { points, ..good() }), ImportFault::Amount { lot: 1, points });
    }
    let (earned_at, expires_at) = (good().earned_at, good().earned_at);
    assert_eq!(refused(good().expiring_at(expires_at)), ImportFault::Expiry { lot: 1, earned_at, expires_at });
    let later = at("2026-06-02");
    assert_eq!(refused(ImportedLot::new(1, later)), ImportFault::Future { lot: 1, earned_at: later });
    let never = ImportedLot { active_from: Some(later), ..good().expiring_at(later) };
    assert_eq!(refused(never), ImportFault::NeverActive { lot: 1, active_from: later, expires_at: later });

    let most = ImportedLot { points: LOYALTY_POINTS_MAX, ..good() };
    assert_eq!(balance(vec![most.clone()]).sums(now).map(|sums| sums.points), Ok(LOYALTY_POINTS_MAX.into()));
    let points = i128::from(LOYALTY_POINTS_MAX) + 1;
    assert_eq!(balance(vec![most, good()]).sums(now), Err(ImportFault::Sum { points }));
    assert_eq!(balance(Vec::new()).sums(now), Err(ImportFault::Nothing));
    let many = IMPORT_ENTRIES_MAX + 1;
    let fault = ImportFault::Entries { what: "lots", entries: many };
    assert_eq!(balance(vec![good(); many]).sums(now), Err(fault));
    for owed in [-1, LOYALTY_POINTS_MAX + 1] {
        assert_eq!(ImportPoints { owed, ..balance(Vec::new()) }.sums(now), Err(ImportFault::Owed { owed }));
    }
    let told =
        |points, at| ImportPoints { qualifying: vec![Qualifying { points, at }], ..balance(Vec::new()) }.sums(now);
    assert_eq!(told(0, now), Err(ImportFault::Qualifying { entry: 0, points: 0 }));
    assert_eq!(told(1, later), Err(ImportFault::QualifyingFuture { entry: 0, at: later }));
}
