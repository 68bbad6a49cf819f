//! The CRM inside a transaction that the shop has open: both commit, or neither.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::path::PathBuf;

use crm::blocking::Crm;
use crm::sqlite::install;
use crm::sqlite::rusqlite::{Connection, TransactionBehavior};
use crm::{
    AwardPoints, Command, Currency, Definition, Error, ExternalSystem, Identifier, Incoming, Money, OrderPlaced,
    OrderRef, Program, ProgramId, RedeemPoints, Source, SqliteOptions, SqliteStore, StorageError, Tag, Timestamp,
};

/// A shop with its own table in the same file as the CRM.
struct Shop {
    path: PathBuf,
    connection: Connection,
    crm: Crm,
}

impl Shop {
    fn open(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("crm-host-{}-{name}", std::process::id()));
        remove(&path);
        let mut connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE sale (number TEXT PRIMARY KEY, cents INTEGER NOT NULL)").unwrap();
        install(&mut connection).unwrap();
        let store = SqliteStore::open_with(&path, &SqliteOptions::default().beside_other_tables()).unwrap();
        let crm = Crm::from(crm::Crm::builder().store(store).build());
        let program = Definition::Program(points(), Some(Program::point_per_unit(Currency::EUR)));
        crm.define(Timestamp::MIN, program).unwrap();
        Shop { path, connection, crm }
    }

    fn sales(&self) -> i64 {
        self.connection.query_row("SELECT count(*) FROM sale", [], |row| row.get(0)).unwrap()
    }

    fn balance(&self) -> Option<i128> {
        self.crm.customer(&ana()).unwrap().map(|ana| ana.book(&points()).map_or(0, |book| book.balance()))
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(path: &PathBuf) {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.clone().into_os_string();
        file.push(suffix);
        drop(std::fs::remove_file(file));
    }
}

fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn ana() -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), "ana").unwrap()
}

fn order(number: &str, euros: i64) -> Incoming {
    let placed = OrderPlaced::new(Money::new(euros * 100, Currency::EUR)).with_order(OrderRef::new(number).unwrap());
    Incoming::new(ana(), Timestamp::parse("2026-01-05").unwrap(), Source::new("shop").unwrap(), placed)
}

fn begin(connection: &mut Connection) -> crm::sqlite::rusqlite::Transaction<'_> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap()
}

#[test]
fn what_the_shop_commits_is_there_with_the_crms_part() {
    let mut shop = Shop::open("commit");
    let transaction = begin(&mut shop.connection);
    transaction.execute("INSERT INTO sale VALUES ('1', 5000)", []).unwrap();
    let mut inside = shop.crm.within(&transaction).unwrap();
    let recorded = inside.record(order("1", 50)).unwrap();
    let redeem =
        Command::RedeemPoints(RedeemPoints { program: points(), points: 20, reason: "shoes".parse().unwrap() });
    inside.execute(recorded.customer, redeem, "checkout-1").unwrap();
    let seen = inside.customer(&ana()).unwrap().unwrap();
    assert_eq!(seen.book(&points()).unwrap().balance(), 30, "a transaction sees what it did");
    drop(inside);
    assert_eq!(shop.crm.customer(&ana()).unwrap(), None, "and nobody else does, until it commits");
    transaction.commit().unwrap();
    assert_eq!((shop.sales(), shop.balance()), (1, Some(30)));
    // The store's own writer goes on from there.
    shop.crm.record(order("2", 10)).unwrap();
    assert_eq!(shop.balance(), Some(40));
}

#[test]
fn what_the_shop_rolls_back_never_was() {
    let mut shop = Shop::open("rollback");
    shop.crm.record(order("1", 50)).unwrap();
    let before = shop.crm.story(&ana()).unwrap();
    let transaction = begin(&mut shop.connection);
    transaction.execute("INSERT INTO sale VALUES ('2', 7000)", []).unwrap();
    let mut inside = shop.crm.within(&transaction).unwrap();
    inside.record(order("2", 70)).unwrap();
    // Definitions are remembered by their revision: one that never came to be must not be remembered.
    let gold =
        |name: &str| Definition::Program(ProgramId::new(name).unwrap(), Some(Program::point_per_unit(Currency::EUR)));
    inside.run(async |crm| crm.define(Timestamp::MIN, gold("gold")).await).unwrap();
    drop(inside);
    transaction.rollback().unwrap();
    assert_eq!((shop.sales(), shop.crm.story(&ana()).unwrap()), (0, before));
    shop.crm.define(Timestamp::MIN, gold("silver")).unwrap();
    let programs: Vec<_> = shop.crm.definitions().unwrap().program_ids().map(ToString::to_string).collect();
    assert_eq!(programs, ["points", "silver"]);
    shop.crm.record(order("2", 70)).unwrap();
    assert_eq!(shop.balance(), Some(120));
}

#[test]
fn a_refused_command_leaves_the_shops_transaction_as_it_was() {
    let mut shop = Shop::open("refused");
    let customer = shop.crm.record(order("1", 50)).unwrap().customer;
    let transaction = begin(&mut shop.connection);
    transaction.execute("INSERT INTO sale VALUES ('2', 7000)", []).unwrap();
    let mut inside = shop.crm.within(&transaction).unwrap();
    let redeem =
        Command::RedeemPoints(RedeemPoints { program: points(), points: 51, reason: "too much".parse().unwrap() });
    assert!(matches!(inside.execute(customer, redeem, "too-much"), Err(Error::Refused(_))));
    inside.execute(customer, Command::AddTag(Tag::new("tried").unwrap()), "tag").unwrap();
    drop(inside);
    transaction.commit().unwrap();
    assert_eq!((shop.sales(), shop.balance()), (1, Some(50)));
    assert!(shop.crm.customer(&ana()).unwrap().unwrap().has_tag(&Tag::new("tried").unwrap()));
}

#[test]
fn retries_under_one_key_are_carried_out_once_inside_and_outside() {
    let mut shop = Shop::open("retry");
    let customer = shop.crm.record(order("1", 50)).unwrap().customer;
    let award =
        || Command::AwardPoints(AwardPoints { program: points(), points: 5, reason: "welcome".parse().unwrap() });
    for round in 0..3 {
        let transaction = begin(&mut shop.connection);
        let executed = shop.crm.within(&transaction).unwrap().execute(customer, award(), "welcome").unwrap();
        assert_eq!(executed.replayed, round == 2, "the first one was rolled back");
        if round == 0 { transaction.rollback().unwrap() } else { transaction.commit().unwrap() }
    }
    assert!(shop.crm.execute(customer, award(), "welcome").unwrap().replayed);
    assert_eq!(shop.balance(), Some(55));
}

#[test]
fn a_connection_that_is_not_ready_is_refused_with_the_reason() {
    let mut shop = Shop::open("ready");
    let refusal = |crm: &Crm, connection: &Connection| match crm.within(connection) {
        Err(Error::Storage(StorageError::Open { reason, .. })) => reason,
        other => panic!("it should be refused: {other:?}"),
    };
    assert!(refusal(&shop.crm, &shop.connection).contains("no transaction"));
    let mut bare = Connection::open_in_memory().unwrap();
    let transaction = begin(&mut bare);
    assert!(refusal(&shop.crm, &transaction).contains("install"));
    drop(transaction);
    for pragma in ["synchronous = NORMAL", "secure_delete = OFF"] {
        install(&mut shop.connection).unwrap();
        shop.connection.execute_batch(&format!("PRAGMA {pragma}")).unwrap();
        let transaction = begin(&mut shop.connection);
        let setting = pragma.split(' ').next().unwrap();
        let refusal = refusal(&shop.crm, &transaction);
        assert!(refusal.contains(setting), "{refusal}");
    }
}

#[test]
fn a_transaction_that_only_read_and_is_out_of_date_cannot_step_in() {
    let mut shop = Shop::open("stale");
    let transaction = shop.connection.transaction().unwrap();
    transaction.query_row("SELECT count(*) FROM sale", [], |row| row.get::<_, i64>(0)).unwrap();
    shop.crm.record(order("1", 50)).unwrap();
    assert!(matches!(shop.crm.within(&transaction), Err(Error::Storage(StorageError::Backend { .. }))));
    drop(transaction);
    let transaction = begin(&mut shop.connection);
    assert!(shop.crm.within(&transaction).is_ok());
}

#[test]
fn what_fails_half_way_is_undone_and_the_rest_of_the_transaction_stays() {
    let mut shop = Shop::open("half");
    let customer = shop.crm.record(order("1", 50)).unwrap().customer;
    let transaction = begin(&mut shop.connection);
    transaction.execute("INSERT INTO sale VALUES ('2', 7000)", []).unwrap();
    // The shop's own trigger stands in for whatever may fail after the first rows are written.
    transaction
        .execute_batch(
            "CREATE TEMP TRIGGER broken BEFORE INSERT ON main.crm_request BEGIN SELECT raise(ABORT, 'broken'); END",
        )
        .unwrap();
    let mut inside = shop.crm.within(&transaction).unwrap();
    let award = Command::AwardPoints(AwardPoints { program: points(), points: 5, reason: "welcome".parse().unwrap() });
    assert!(matches!(inside.execute(customer, award, "welcome"), Err(Error::Storage(StorageError::Backend { .. }))));
    assert_eq!(inside.customer(&ana()).unwrap().unwrap().book(&points()).unwrap().balance(), 50);
    drop(inside);
    transaction.execute_batch("DROP TRIGGER broken").unwrap();
    transaction.commit().unwrap();
    assert_eq!((shop.sales(), shop.balance()), (1, Some(50)));
}
