//! The books of points: statements, trial balances, what is still to be redeemed, and what comes from elsewhere.
#![allow(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "a panic is how a test fails")]

use std::sync::Arc;

use crm::blocking::Crm;
use crm::loyalty::{
    Account, AdjustPoints, CaptureHold, ForfeitPoints, HoldName, HoldPoints, ImportFault, ImportName, ImportedLot,
    Qualifying, ReleaseHold,
};
use crm::{
    AwardPoints, BalanceRow, BalanceTable, Command, Currency, CustomerId, Definition, Error, ExpectedPoints,
    ExternalSystem, Identifier, ImportProblemKind, ImportStep, ImportedBalance, Incoming, LoyaltyError, ManualClock,
    Money, OrderPlaced, OrderRef, PointsImport, PointsImportChecked, PointsImportError, Program, ProgramId,
    RedeemPoints, Refunded, Refusal, RowFault, Source, Span, Statement, Timestamp, UnknownCustomers,
};
use proptest::prelude::*;

fn day(day: i64) -> Timestamp {
    Timestamp::from_millis(day * 86_400_000).unwrap()
}

fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn who(name: &str) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), name).unwrap()
}

fn why() -> crm::Remark {
    "test".parse().unwrap()
}

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    keys: std::cell::Cell<u32>,
}

impl Shop {
    fn new() -> Shop {
        let clock = Arc::new(ManualClock::at(day(0)));
        let crm = Crm::from(crm::Crm::builder().clock(Arc::clone(&clock)).ids(crm::DerivedIds).build());
        let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(30));
        crm.define(day(0), Definition::Program(points(), Some(program))).unwrap();
        Shop { crm, clock, keys: std::cell::Cell::default() }
    }

    fn key(&self) -> String {
        self.keys.set(self.keys.get() + 1);
        self.keys.get().to_string()
    }

    fn until(&self, to: i64) {
        self.clock.set(day(to));
        self.crm.advance(day(to)).unwrap();
    }

    fn order(&self, name: &str, number: &str, euros: i64) -> CustomerId {
        let placed = OrderPlaced::new(Money::new(euros * 100, Currency::EUR)).with_order(number.parse().unwrap());
        let fact = Incoming::new(who(name), self.crm.now(), Source::new("test").unwrap(), placed);
        self.crm.record(fact.with_key(self.key().parse().unwrap())).unwrap().customer
    }

    fn refund(&self, name: &str, number: &str, euros: i64) {
        let number: OrderRef = number.parse().unwrap();
        let refund = Refunded { order: Some(number), amount: Money::new(euros * 100, Currency::EUR) };
        let fact = Incoming::new(who(name), self.crm.now(), Source::new("test").unwrap(), refund);
        self.crm.record(fact.with_key(self.key().parse().unwrap())).unwrap();
    }

    fn execute(&self, customer: CustomerId, command: Command) -> Result<crm::Executed, Error> {
        self.crm.execute(customer, command, &self.key())
    }

    fn redeem(&self, customer: CustomerId, amount: i64) -> Result<crm::Executed, Error> {
        let redeem = RedeemPoints { program: points(), points: amount, reason: why(), order: None, total: None };
        self.execute(customer, Command::RedeemPoints(redeem))
    }

    fn statement(&self, customer: CustomerId, from: i64, until: i64) -> Statement {
        self.crm.statement(customer, &points(), day(from), day(until)).unwrap().unwrap()
    }

    /// Every statement ends in what the book has, the trial balance in what all books have, and at each instant it adds
    /// up.
    fn check(&self, customers: &[CustomerId], to: i64) {
        let (mut outstanding, mut seen) = (0, Vec::new());
        for customer in customers {
            let customer = self.crm.customer(*customer).unwrap().unwrap();
            if seen.contains(&customer.id()) {
                continue;
            }
            seen.push(customer.id());
            let statement = self.crm.statement(customer.id(), &points(), Timestamp::MIN, Timestamp::MAX).unwrap();
            let account = statement.unwrap().account;
            let Some(book) = customer.book(&points()) else {
                assert!(account.lines.is_empty());
                continue;
            };
            let closing = account.closing;
            assert_eq!(
                (closing.balance(), closing.pending, closing.held),
                (book.balance(), book.pending(), book.held())
            );
            assert_eq!(closing.owed, book.owed().into());
            assert_eq!(account.lines.last().map(|line| line.after), Some(closing));
            let mut ids: Vec<_> = account.lines.iter().map(|line| line.id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), account.lines.len(), "each posting once");
            outstanding += book.totals().outstanding();
        }
        for at in [0, to / 3, to / 2, to, to + 100] {
            let balance = self.crm.trial_balance(&points(), day(at)).unwrap();
            assert!(balance.adds_up(), "at day {at}: {balance:?}");
            let there: i128 = customers_at(self, &seen, at);
            assert_eq!(balance.outstanding(), there, "at day {at}");
        }
        let now = self.crm.trial_balance(&points(), Timestamp::MAX).unwrap();
        assert_eq!((now.outstanding(), now.totals().outstanding()), (outstanding, outstanding));
        let liability = self.crm.liability(&points(), day(to)).unwrap();
        let banded: i128 = liability.by_age.iter().map(|band| band.sum.points).sum();
        assert_eq!(banded, liability.gross());
        assert_eq!(liability.standing.outstanding(), self.crm.trial_balance(&points(), day(to)).unwrap().outstanding());
    }
}

fn customers_at(shop: &Shop, customers: &[CustomerId], at: i64) -> i128 {
    let until = day(at).plus(Span::millis(1));
    let of = |customer: &CustomerId| {
        let statement = shop.crm.statement(*customer, &points(), Timestamp::MIN, until).unwrap().unwrap();
        statement.account.closing.outstanding()
    };
    customers.iter().map(of).sum()
}

#[test]
fn a_statement_tells_of_orders_refunds_holds_and_expiry_and_ends_in_the_book() {
    let shop = Shop::new();
    let ana = shop.order("ana", "1", 100);
    shop.until(5);
    let hold: HoldName = "checkout".parse().unwrap();
    let held = HoldPoints { program: points(), points: 40, hold: hold.clone(), until: None };
    shop.execute(ana, Command::HoldPoints(held)).unwrap();
    shop.until(6);
    let order = Some("2".parse().unwrap());
    let capture = CaptureHold { program: points(), hold, points: Some(30), reason: why(), order };
    shop.execute(ana, Command::CaptureHold(capture)).unwrap();
    shop.until(10);
    shop.refund("ana", "1", 80);
    shop.until(40);
    let lines = |statement: &Statement| -> Vec<_> {
        statement.account.lines.iter().map(|line| (line.kind.name(), line.points, line.after.balance())).collect()
    };
    let all = shop.statement(ana, 0, 100);
    let told =
        [("earned", 100, 100), ("held", 0, 60), ("captured", -30, 60), ("released", 0, 70), ("reversed", -80, -10)];
    assert_eq!(lines(&all), told);
    assert_eq!((all.account.closing.active, all.account.closing.owed), (0, 10));
    let part = shop.statement(ana, 6, 10);
    assert_eq!((part.account.opening.held, part.account.opening.active, part.account.closing.active), (40, 60, 70));
    assert_eq!(lines(&part).len(), 2);
    // The fact that earned them is the cause where the rule posted them, and the command where the shop did.
    assert!(all.account.lines[0].cause.is_some() && all.account.lines[4].cause.is_some());

    let keys: Vec<_> = all.account.lines.iter().map(|line| line.key.is_some()).collect();
    assert_eq!(keys, [false, true, true, true, false], "what the shop asked for has the key of that");
    assert!(part.account.lines.iter().all(|line| line.key == all.account.lines[2].key), "both are of one request");

    let ben = shop.order("ben", "3", 50);
    shop.until(80);
    let balance = shop.crm.trial_balance(&points(), day(69)).unwrap();
    assert_eq!((balance.of(Account::Expired), balance.outstanding(), balance.customers), (0, 40, 2));
    let balance = shop.crm.trial_balance(&points(), day(70)).unwrap();
    assert_eq!((balance.of(Account::Expired), balance.outstanding(), balance.postings), (50, -10, 7));
    shop.check(&[ana, ben], 80);
}

#[test]
fn of_merged_customers_each_posting_counts_once_and_of_parted_ones_their_own() {
    let shop = Shop::new();
    let (ana, ben) = (shop.order("ana", "1", 100), shop.order("ben", "2", 50));
    shop.until(1);
    shop.crm.merge(ana, ben, why()).unwrap();
    shop.redeem(ben, 120).unwrap();
    let both = shop.statement(ana, 0, 10);
    assert_eq!((both.account.closing.balance(), both.account.lines.len()), (30, 4));
    assert_eq!(shop.statement(ben, 0, 10), both);
    assert_eq!(shop.crm.trial_balance(&points(), day(1)).unwrap().outstanding(), 30);
    shop.check(&[ana, ben], 1);

    shop.until(2);
    shop.crm.part(ana, ben, why()).unwrap();
    let closing = [ana, ben].map(|one| shop.statement(one, 0, 10).account.closing.balance());
    assert_eq!((closing[0] + closing[1], closing), (30, [100, -70]));
    let balance = shop.crm.trial_balance(&points(), day(2)).unwrap();
    assert_eq!((balance.outstanding(), balance.of(Account::Redeemed), balance.customers), (30, 120, 2));
    shop.check(&[ana, ben], 2);
}

#[derive(Debug, Clone)]
enum Step {
    Days(i64),
    Order(usize, i64),
    Refund(usize, i64),
    Redeem(usize, i64),
    Award(usize, i64),
    Adjust(usize, i64),
    Hold(usize, i64),
    Capture(usize),
    Release(usize),
    Forfeit(usize),
    Merge(usize, usize),
    Part(usize, usize),
    Import(usize, i64, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let (one, other) = (0..3_usize, 0..3_usize);
    prop_oneof![
        (1..20_i64).prop_map(Step::Days),
        (one.clone(), 1..90_i64).prop_map(|(one, euros)| Step::Order(one, euros)),
        (one.clone(), 1..60_i64).prop_map(|(one, euros)| Step::Refund(one, euros)),
        (one.clone(), 1..80_i64).prop_map(|(one, points)| Step::Redeem(one, points)),
        (one.clone(), 1..50_i64).prop_map(|(one, points)| Step::Award(one, points)),
        (one.clone(), -30..30_i64).prop_map(|(one, points)| Step::Adjust(one, points)),
        (one.clone(), 1..40_i64).prop_map(|(one, points)| Step::Hold(one, points)),
        one.clone().prop_map(Step::Capture),
        one.clone().prop_map(Step::Release),
        one.clone().prop_map(Step::Forfeit),
        (one.clone(), other.clone()).prop_map(|(one, other)| Step::Merge(one, other)),
        (one.clone(), other).prop_map(|(one, other)| Step::Part(one, other)),
        (one, 0..60_i64, 0..40_i64).prop_map(|(one, points, owed)| Step::Import(one, points, owed)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("CRM_SOAK").is_some() { 1_000 } else { 24 },
        ..ProptestConfig::default()
    })]

    /// Whatever happens, statements end in the books, and all accounts sum to zero at every instant.
    #[test]
    fn statements_and_trial_balances_agree_with_the_books(steps in prop::collection::vec(step(), 1..25)) {
        let shop = Shop::new();
        let names = ["ana", "ben", "cem"];
        let all = names.map(|name| shop.order(name, &format!("first-{name}"), 20));
        let (mut now, mut last) = (0, names.map(|name| format!("first-{name}")));
        let hold: HoldName = "h".parse().unwrap();
        for (n, step) in steps.into_iter().enumerate() {
            let (one, command) = match step {
                Step::Days(days) => {
                    now += days;
                    shop.until(now);
                    continue;
                }
                Step::Order(one, euros) => {
                    last[one] = n.to_string();
                    shop.order(names[one], &last[one], euros);
                    continue;
                }
                Step::Refund(one, euros) => {
                    shop.refund(names[one], &last[one], euros);
                    continue;
                }
                Step::Merge(one, other) => {
                    let _ = shop.crm.merge(all[one], all[other], why());
                    continue;
                }
                Step::Part(one, other) => {
                    let _ = shop.crm.part(all[one], all[other], why());
                    continue;
                }
                Step::Import(one, amount, owed) => {
                    let lots = (amount > 0).then(|| ImportedLot::new(amount, day(0)).expiring_at(day(now + 9)));
                    let balance = ImportedBalance::new(all[one], lots.into_iter().collect()).owing(owed);
                    let import = PointsImport::new(points(), ImportName::new(n.to_string()).unwrap(), why());
                    let imported = shop.crm.import_points(&import, || [balance.clone()].into_iter(), |_| {});
                    prop_assert_eq!(imported.is_ok(), amount > 0 || owed > 0);
                    continue;
                }
                Step::Redeem(one, points_) => {
                    let (program, reason) = (points(), why());
                    (one, Command::RedeemPoints(RedeemPoints { program, points: points_, reason, order: None, total: None }))
                }
                Step::Award(one, points_) => {
                    (one, Command::AwardPoints(AwardPoints { program: points(), points: points_, reason: why() }))
                }
                Step::Adjust(one, points_) => {
                    (one, Command::AdjustPoints(AdjustPoints { program: points(), points: points_, reason: why() }))
                }
                Step::Hold(one, points_) => {
                    let (hold, until) = (hold.clone(), Some(day(now + 3)));
                    (one, Command::HoldPoints(HoldPoints { program: points(), points: points_, hold, until }))
                }
                Step::Capture(one) => {
                    let (hold, points_, order) = (hold.clone(), Some(1), None);
                    let capture = CaptureHold { program: points(), hold, points: points_, reason: why(), order };
                    (one, Command::CaptureHold(capture))
                }
                Step::Release(one) => {
                    (one, Command::ReleaseHold(ReleaseHold { program: points(), hold: hold.clone() }))
                }
                Step::Forfeit(one) => {
                    (one, Command::ForfeitPoints(ForfeitPoints { program: points(), reason: why() }))
                }
            };
            match shop.execute(all[one], command) {
                Ok(_) | Err(Error::Refused(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        shop.check(&all, now);
    }
}

#[test]
fn cells_that_would_be_formulas_are_texts_and_every_row_has_every_column() {
    let shop = Shop::new();
    let ana = shop.order("ana", "1", 500);
    let hostile = ["=1+1", "+49 170", "-2+3", "@SUM(A1)", "a,b", "say \"yes\"", "=cmd|' /C calc'!A0", "plain"];
    for reason in hostile {
        let redeem =
            RedeemPoints { program: points(), points: 1, reason: reason.parse().unwrap(), order: None, total: None };
        shop.execute(ana, Command::RedeemPoints(RedeemPoints { order: Some("=2".parse().unwrap()), ..redeem }))
            .unwrap();
    }
    let statement = shop.statement(ana, 0, 10);
    let mut table = Vec::new();
    statement.to_csv(&mut table).unwrap();
    let text = String::from_utf8(table).unwrap();
    assert!(text.ends_with("\r\n") && text.starts_with("at,recorded_at,kind,points,"));
    let mut rows = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1 + 1 + 1 + hostile.len() + 1);
    assert!(rows.iter().all(|row| row.len() == Statement::COLUMNS.len()));
    let column = |name: &str| Statement::COLUMNS.iter().position(|column| *column == name).unwrap();
    for (row, reason) in rows[3..].iter().zip(hostile) {
        let cell = &row[column("reason")];
        let formula = reason.starts_with(['=', '+', '-', '@']);
        assert_eq!(cell, if formula { format!("'{reason}") } else { reason.to_owned() });
        assert_eq!((&row[column("about")], &row[column("points")], &row[column("by")]), ("'=2", "-1", "shop"));
    }
    let (opening, closing) = (&rows[1], rows.last().unwrap());
    assert_eq!((&opening[column("kind")], &opening[column("balance_after")]), ("opening", "0"));
    assert_eq!((&closing[column("kind")], &closing[column("balance_after")]), ("closing", "492"));
    assert_eq!(&closing[column("customer")], ana.to_string());

    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    assert_eq!(statement.to_csv(Full).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
}

fn import(name: &str) -> PointsImport {
    let mut import = PointsImport::new(points(), name.parse().unwrap(), "balance of the till".parse().unwrap());
    import.unknown = UnknownCustomers::Introduced(Source::new("till").unwrap());
    import
}

fn lots(all: &[(i64, i64, Option<i64>)]) -> Vec<ImportedLot> {
    let lot = |(points, earned, ends): &(i64, i64, Option<i64>)| {
        let lot = ImportedLot::new(*points, day(*earned));
        ends.map_or(lot.clone(), |ends| lot.expiring_at(day(ends)))
    };
    all.iter().map(lot).collect()
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> PointsImportChecked {
    match result.unwrap_err() {
        Error::PointsImport(PointsImportError::Refused(checked)) => *checked,
        error => panic!("{error}"),
    }
}

#[test]
fn the_same_import_again_changes_nothing_and_another_one_is_a_conflict() {
    let shop = Shop::new();
    shop.until(100);
    let ana = shop.order("ana", "1", 10);
    let balances = [
        ImportedBalance::new(ana, lots(&[(100, 10, Some(200)), (7, 10, Some(50)), (30, 20, None)]))
            .with_qualifying(vec![Qualifying { points: 400, at: day(5) }])
            .stated(130),
        ImportedBalance::new(who("ben"), lots(&[(5, 1, None)])).owing(9).stated(-4),
    ];
    let mut import = import("till");
    import.expected =
        ExpectedPoints { balances: Some(2), points: Some(135), expired: Some(7), owed: Some(9), qualifying: Some(400) };
    let checked = shop.crm.check_points_import(&import, balances.iter().cloned()).unwrap();
    assert!(checked.is_clean());
    assert_eq!((checked.known, checked.newcomers, checked.sums.points), (0, 1, 135));
    assert!(shop.crm.customer(who("ben")).unwrap().is_none(), "looking writes nothing");

    let mut steps = Vec::new();
    let imported = shop.crm.import_points(&import, || balances.iter().cloned(), |step| steps.push(step)).unwrap();
    assert_eq!((imported.taken, imported.known, imported.introduced), (2, 0, 1));
    assert_eq!((imported.sums, steps.len()), (checked.sums, 3));
    assert!(matches!(steps[1], ImportStep::Taken { place: 0, customer, known: false, .. } if customer == ana));
    let ben = shop.crm.customer(who("ben")).unwrap().unwrap();
    assert_eq!(ben.book(&points()).unwrap().balance(), -4);
    let book = shop.crm.customer(ana).unwrap().unwrap();
    let book = book.book(&points()).unwrap();
    assert_eq!((book.balance(), book.qualifying()), (140, 410));
    let digest = shop.crm.overview().unwrap().digest;

    let again = shop.crm.import_points(&import, || balances.iter().cloned(), |_| {}).unwrap();
    assert_eq!((again.taken, again.known, again.introduced), (0, 2, 0));
    assert_eq!(shop.crm.overview().unwrap().digest, digest);

    let other = [balances[0].clone(), ImportedBalance::new(who("ben"), lots(&[(6, 1, None)]))];
    import.expected = ExpectedPoints::default();
    let checked = refused(shop.crm.import_points(&import, || other.iter().cloned(), |_| {}));
    assert_eq!((checked.problems_in_all, checked.known), (1, 1));
    assert_eq!((checked.problems[0].place, &checked.problems[0].kind), (1, &ImportProblemKind::Before));
    assert_eq!(shop.crm.overview().unwrap().digest, digest);

    // The lot that ends later ends here as well.
    shop.until(201);
    let statement = shop.statement(ana, 100, 201);
    let kinds: Vec<_> = statement.account.lines.iter().map(|line| (line.kind.name(), line.points)).collect();
    assert_eq!(kinds, [("earned", 10), ("imported", 130), ("expired", -10), ("expired", -100)]);
    shop.check(&[ana, ben.id()], 201);
}

#[test]
fn nothing_is_taken_in_unless_everything_is_right_and_all_that_is_wrong_is_told() {
    let shop = Shop::new();
    shop.until(100);
    let ana = shop.order("ana", "1", 10);
    let digest = shop.crm.overview().unwrap().digest;
    let nobody = CustomerId::new(day(1), [9; 10]);
    let balances = [
        ImportedBalance::new(ana, lots(&[(100, 10, None)])),
        ImportedBalance::new(who("ben"), lots(&[(0, 10, None)])),
        ImportedBalance::new(who("cem"), lots(&[(5, 10, Some(10))])),
        ImportedBalance::new(nobody, lots(&[(5, 10, None)])),
        ImportedBalance::new(who("ana"), lots(&[(5, 10, None)])),
        ImportedBalance::new(who("dan"), lots(&[(5, 10, None), (2, 10, Some(11))])).stated(7),
    ];
    let mut import = import("till");
    import.expected = ExpectedPoints { balances: Some(6), points: Some(101), ..ExpectedPoints::default() };
    let checked = refused(shop.crm.import_points(&import, || balances.iter().cloned(), |_| {}));
    let kinds: Vec<_> = checked.problems.iter().map(|problem| (problem.place, problem.kind.clone())).collect();
    let expected = [
        (1, ImportProblemKind::Balance(ImportFault::Amount { lot: 0, points: 0 })),
        (2, ImportProblemKind::Balance(ImportFault::Expiry { lot: 0, earned_at: day(10), expires_at: day(10) })),
        (5, ImportProblemKind::Stated { stated: 7, found: 5 }),
        (3, ImportProblemKind::Unknown),
        (4, ImportProblemKind::Twice { first: 0 }),
    ];
    assert_eq!(kinds, expected);
    let differ: Vec<_> = checked.differences.iter().map(|one| (one.what, one.expected, one.found)).collect();
    assert_eq!(differ, [("balances", 6, 1), ("points", 101, 100)]);
    assert_eq!(shop.crm.overview().unwrap().digest, digest);

    // Whoever is not known is introduced only where that is asked for.
    let one = [ImportedBalance::new(who("ben"), lots(&[(1, 10, None)]))];
    import.unknown = UnknownCustomers::Refused;
    import.expected = ExpectedPoints::default();
    let checked = refused(shop.crm.import_points(&import, || one.iter().cloned(), |_| {}));
    assert_eq!(checked.problems[0].kind, ImportProblemKind::Unknown);
    import.program = ProgramId::new("other").unwrap();
    let error = shop.crm.import_points(&import, || one.iter().cloned(), |_| {}).unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::Loyalty(LoyaltyError::NoProgram { .. }))), "{error}");
    for error in [
        shop.crm.trial_balance(&import.program, day(1)).map(|_| ()).unwrap_err(),
        shop.crm.liability(&import.program, day(1)).map(|_| ()).unwrap_err(),
        shop.crm.statement(ana, &import.program, day(0), day(1)).map(|_| ()).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Refused(Refusal::Loyalty(LoyaltyError::NoProgram { .. }))), "{error}");
    }
}

#[test]
fn what_is_another_balance_the_second_time_is_not_taken_in() {
    let shop = Shop::new();
    shop.until(100);
    let call = std::sync::atomic::AtomicU32::new(0);
    let changing = || {
        let n = call.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        [ImportedBalance::new(who("ana"), lots(&[(5 + i64::from(n), 10, None)]))].into_iter()
    };
    let error = shop.crm.import_points(&import("till"), changing, |_| {}).unwrap_err();
    assert!(matches!(error, Error::PointsImport(PointsImportError::Changed { place: 0 })), "{error}");
    assert!(shop.crm.customer(who("ana")).unwrap().is_none());
}

#[test]
fn more_balances_than_fit_a_page_are_taken_in_and_reconciled() {
    let shop = Shop::new();
    shop.until(100);
    let many = 1_100;
    let balances = || (1..=many).map(|n| ImportedBalance::new(who(&format!("c{n}")), lots(&[(n, 10, None)])));
    let mut import = import("till");
    let sum = i128::from(many * (many + 1) / 2);
    import.expected = ExpectedPoints { points: Some(sum), ..ExpectedPoints::default() };
    let imported = shop.crm.import_points(&import, balances, |_| {}).unwrap();
    assert_eq!((imported.taken, imported.sums.points), (many.unsigned_abs(), sum));
    let mut told = Vec::new();
    let balance = shop.crm.trial_balance_with_progress(&points(), day(100), |read| told.push(read)).unwrap();
    assert_eq!((balance.outstanding(), balance.customers, told), (sum, many.unsigned_abs(), vec![1_000]));
    assert_eq!(shop.crm.liability(&points(), day(100)).unwrap().without_end.points, sum);
}

fn rows(table: &[u8]) -> Vec<BalanceRow> {
    BalanceTable::new(table, |name: &str| Identifier::external(&ExternalSystem::new("shop").unwrap(), name)).collect()
}

#[test]
fn rows_of_a_table_are_lots_and_what_is_wrong_is_named_by_line() {
    let good = "\u{feff}points,customer,expires_at,earned_at,active_from\r\n\
        5,\"a,1\",2027-01-01,2026-01-01,\r\n6,\"a,1\",,2026-01-02T10:00:00+02:00,2026-02-01\r\n\r\n\
        7,b,,2026-01-01,\r\n";
    let read = rows(good.as_bytes());
    let told: Vec<_> = read.iter().map(|row| (row.line, row.balance.as_ref().unwrap().lots.len())).collect();
    assert_eq!(told, [(Some(2), 2), (Some(5), 1)]);
    let lots = &read[0].balance.as_ref().unwrap().lots;
    assert_eq!(lots[1].earned_at, Timestamp::parse("2026-01-02T08:00:00Z").unwrap());
    assert_eq!((lots[0].expires_at, lots[1].expires_at), (Some(Timestamp::parse("2027-01-01").unwrap()), None));

    let head = "customer,points,earned_at,expires_at\n";
    let faults = |table: &[u8]| -> Vec<(u64, RowFault)> {
        rows(table).into_iter().filter_map(|row| Some((row.line.unwrap(), row.balance.err()?))).collect()
    };
    let body = "a,1,2026-01-01,\n,1,2026-01-01,\nb,1.5,2026-01-01,\nc,9223372036854775808,2026-01-01,\nd,1,yesterday,\n\
        e,1,,\nf,1,2026-01-01,10000-01-01\ng,1\nh,1,2026-01-01,,,\ni,NaN,2026-01-01,\nj,1,2026-01-01,\n";
    let expected = [
        (3, RowFault::Customer),
        (4, RowFault::Points),
        (5, RowFault::Points),
        (6, RowFault::Time { column: "earned_at" }),
        (7, RowFault::Time { column: "earned_at" }),
        (8, RowFault::Time { column: "expires_at" }),
        (9, RowFault::Cells { cells: 2, columns: 4 }),
        (10, RowFault::Cells { cells: 6, columns: 4 }),
        (11, RowFault::Points),
    ];
    assert_eq!(faults(format!("{head}{body}").as_bytes()), expected);
    assert_eq!(rows(format!("{head}{body}").as_bytes()).iter().filter(|row| row.balance.is_ok()).count(), 2);

    for columns in ["", "customer,points\n", "customer,customer,points,earned_at,expires_at\n", "a,1,2026-01-01,\n"] {
        let told = faults(format!("{columns}a,1,2026-01-01,\n").as_bytes());
        assert_eq!(told, [(1, RowFault::Columns)], "{columns:?}");
    }
    assert!(rows(b"").is_empty() && rows(head.as_bytes()).is_empty());
    let utf16: Vec<u8> = head.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(matches!(faults(&utf16)[..], [(1, RowFault::Encoding | RowFault::Columns)]));
    assert_eq!(faults(&[head.as_bytes(), b"\xff,1,2026-01-01,\n"].concat()), [(2, RowFault::Encoding)]);
    let open = format!("{head}a,1,2026-01-01,\n\"b,1,2026-01-01,\n{}", "c,1,2026-01-01,\n".repeat(20_000));
    assert_eq!(faults(open.as_bytes()), [(3, RowFault::TooLong)]);
    // What a row says is told to nobody.
    assert!(!format!("{}", RowFault::Customer).contains("ana"));
}

#[test]
fn a_table_is_taken_in_and_a_customer_who_comes_again_is_refused() {
    let shop = Shop::new();
    shop.until(30_000);
    let table = "customer,points,earned_at,expires_at\na,5,2026-01-01,\na,6,2026-01-02,\nb,7,2026-01-01,\n";
    let read = |table: &'static str| {
        move || BalanceTable::new(table.as_bytes(), |name: &str| Ok::<_, crm::IdentifierError>(who(name)))
    };
    let mut one = import("till");
    one.expected.points = Some(18);
    assert_eq!(shop.crm.import_points(&one, read(table), |_| {}).unwrap().taken, 2);
    let again =
        "customer,points,earned_at,expires_at\na,5,2026-01-01,\nb,7,2026-01-01,\na,6,2026-01-02,\nc,x,2026-01-01,\n";
    let checked = refused(shop.crm.import_points(&import("other"), read(again), |_| {}));
    let told: Vec<_> = checked.problems.iter().map(|problem| (problem.line, problem.place)).collect();
    assert_eq!(told, [(Some(5), 3), (Some(4), 2)]);
    assert_eq!(checked.problems[0].to_string(), "balance 3 in line 5: the points are no whole number");
    assert_eq!(checked.problems[1].kind, ImportProblemKind::Twice { first: 0 });
}
