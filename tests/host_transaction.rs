//! The CRM inside a transaction that the shop has open: both commit, or neither.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod drawer;

use std::time::Duration;

use crm::blocking::Crm;
use crm::sqlite::install;
use crm::sqlite::rusqlite::{Connection, TransactionBehavior};
use crm::{
    AddressWithdrawn, AwardPoints, Barred, CardLine, CardUpdate, Cart, Channel, Command, ConfirmProof, Confirmation,
    ConsentStatus, ConsentWithdrawn, ContactQuery, CrmBuilder, Currency, Definition, Digest, DrawEntries, Error,
    ExternalSystem, FactRefusal, FieldName, Identifier, Incoming, Ingestion, Locale, LookupKey, ManualClock, Method,
    Money, OptIn, OrderPlaced, OrderRef, PersonalError, PoolCommand, Program, ProgramId, Proof, Purpose, RedeemPoints,
    Source, SqliteOptions, SqliteStore, StorageError, Strength, SuppressionReason, Tag, Tie, TieKind, Timestamp, Untie,
    Which, Wording,
};
use drawer::Drawer;
use tempfile::TempDir;

/// A shop with its own table in the same file as the CRM.
struct Shop {
    _folder: TempDir,
    connection: Connection,
    crm: Crm,
}

impl Shop {
    fn open() -> Self {
        Self::open_with(crm::Crm::builder())
    }

    fn open_with(builder: CrmBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let mut connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE sale (number TEXT PRIMARY KEY, cents INTEGER NOT NULL)").unwrap();
        install(&mut connection).unwrap();
        let store = SqliteStore::open_with(&path, &SqliteOptions::default().beside_other_tables()).unwrap();
        let crm = Crm::from(builder.store(store).build());
        crm.define(Timestamp::MIN, program("points")).unwrap();
        Shop { _folder: folder, connection, crm }
    }

    fn sales(&self) -> i64 {
        self.connection.query_row("SELECT count(*) FROM sale", [], |row| row.get(0)).unwrap()
    }

    fn balance(&self) -> Option<i128> {
        self.crm.customer(ana()).unwrap().map(|ana| ana.book(&points()).map_or(0, |book| book.balance()))
    }
}

fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn program(name: &str) -> Definition {
    Definition::Program(ProgramId::new(name).unwrap(), Some(Program::point_per_unit(Currency::EUR)))
}

fn someone(name: &str) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), name).unwrap()
}

fn ana() -> Identifier {
    someone("ana")
}

fn order(number: &str, euros: i64) -> Incoming {
    order_of("ana", number, euros)
}

fn order_of(name: &str, number: &str, euros: i64) -> Incoming {
    let placed = OrderPlaced::new(Money::new(euros * 100, Currency::EUR)).with_order(OrderRef::new(number).unwrap());
    Incoming::new(someone(name), Timestamp::parse("2026-01-05").unwrap(), Source::new("shop").unwrap(), placed)
}

fn begin(connection: &mut Connection) -> crm::sqlite::rusqlite::Transaction<'_> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap()
}

#[test]
fn what_the_shop_commits_is_there_with_the_crms_part() {
    let mut shop = Shop::open();
    let transaction = begin(&mut shop.connection);
    transaction.execute("INSERT INTO sale VALUES ('1', 5000)", []).unwrap();
    let mut inside = shop.crm.within(&transaction).unwrap();
    let recorded = inside.record(order("1", 50)).unwrap();
    let redeem = Command::RedeemPoints(RedeemPoints {
        program: points(),
        points: 20,
        reason: "shoes".parse().unwrap(),
        order: None,
        total: None,
    });
    inside.execute(recorded.customer, redeem, "checkout-1").unwrap();
    let seen = inside.customer(ana()).unwrap().unwrap();
    assert_eq!(seen.book(&points()).unwrap().balance(), 30, "a transaction sees what it did");
    drop(inside);
    assert_eq!(shop.crm.customer(ana()).unwrap(), None, "and nobody else does, until it commits");
    transaction.commit().unwrap();
    assert_eq!((shop.sales(), shop.balance()), (1, Some(30)));
    // The store's own writer goes on from there.
    shop.crm.record(order("2", 10)).unwrap();
    assert_eq!(shop.balance(), Some(40));
}

#[test]
fn what_the_shop_rolls_back_never_was() {
    let mut shop = Shop::open();
    shop.crm.record(order("1", 50)).unwrap();
    let before = shop.crm.story(ana()).unwrap();
    let transaction = begin(&mut shop.connection);
    transaction.execute("INSERT INTO sale VALUES ('2', 7000)", []).unwrap();
    let mut inside = shop.crm.within(&transaction).unwrap();
    inside.record(order("2", 70)).unwrap();
    // Definitions are remembered by their revision: one that never came to be must not be remembered.
    inside.run(async |crm| crm.define(Timestamp::MIN, program("gold")).await).unwrap();
    drop(inside);
    transaction.rollback().unwrap();
    assert_eq!((shop.sales(), shop.crm.story(ana()).unwrap()), (0, before));
    shop.crm.define(Timestamp::MIN, program("silver")).unwrap();
    let programs: Vec<_> = shop.crm.definitions().unwrap().program_ids().map(ToString::to_string).collect();
    assert_eq!(programs, ["points", "silver"]);
    shop.crm.record(order("2", 70)).unwrap();
    assert_eq!(shop.balance(), Some(120));
}

#[test]
fn a_refused_command_leaves_the_shops_transaction_as_it_was() {
    let mut shop = Shop::open();
    let customer = shop.crm.record(order("1", 50)).unwrap().customer;
    let transaction = begin(&mut shop.connection);
    transaction.execute("INSERT INTO sale VALUES ('2', 7000)", []).unwrap();
    let mut inside = shop.crm.within(&transaction).unwrap();
    let redeem = Command::RedeemPoints(RedeemPoints {
        program: points(),
        points: 51,
        reason: "too much".parse().unwrap(),
        order: None,
        total: None,
    });
    assert!(matches!(inside.execute(customer, redeem, "too-much"), Err(Error::Refused(_))));
    inside.execute(customer, Command::AddTag(Tag::new("tried").unwrap()), "tag").unwrap();
    drop(inside);
    transaction.commit().unwrap();
    assert_eq!((shop.sales(), shop.balance()), (1, Some(50)));
    assert!(shop.crm.customer(ana()).unwrap().unwrap().has_tag(&Tag::new("tried").unwrap()));
}

#[test]
fn retries_under_one_key_are_carried_out_once_inside_and_outside() {
    let mut shop = Shop::open();
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
    let mut shop = Shop::open();
    let refusal = |crm: &Crm, connection: &Connection| match crm.within(connection) {
        Err(Error::Storage(StorageError::Open { reason, .. })) => reason,
        other => panic!("it should be refused: {other:?}"),
    };
    assert!(refusal(&shop.crm, &shop.connection).contains("no transaction"));
    let mut bare = Connection::open_in_memory().unwrap();
    let transaction = begin(&mut bare);
    assert!(refusal(&shop.crm, &transaction).contains("install"));
    drop(transaction);
    // FAST leaves freed pages as they are, and a journal in memory is lost in a crash.
    for pragma in ["synchronous = NORMAL", "secure_delete = OFF", "secure_delete = FAST", "journal_mode = MEMORY"] {
        // A log can be left by the only connection alone, and does not come back by itself.
        if pragma.starts_with("journal_mode") {
            shop.crm = Crm::in_memory();
        }
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
    let mut shop = Shop::open();
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
    let mut shop = Shop::open();
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
    assert_eq!(inside.customer(ana()).unwrap().unwrap().book(&points()).unwrap().balance(), 50);
    drop(inside);
    transaction.execute_batch("DROP TRIGGER broken").unwrap();
    transaction.commit().unwrap();
    assert_eq!((shop.sales(), shop.balance()), (1, Some(50)));
}

#[test]
fn what_is_asked_inside_after_the_shop_lost_its_transaction_is_refused() {
    let mut shop = Shop::open();
    shop.connection.execute("INSERT INTO sale VALUES ('1', 5000)", []).unwrap();
    let transaction = begin(&mut shop.connection);
    let mut inside = shop.crm.within(&transaction).unwrap();
    inside.record(order_of("ana", "2", 50)).unwrap();
    // Ends the whole transaction, as a full disk does.
    transaction.execute("INSERT OR ROLLBACK INTO sale VALUES ('1', 1)", []).unwrap_err();
    let after = inside.record(order_of("ben", "3", 50));
    assert!(matches!(after, Err(Error::Storage(_))), "it would be committed by itself: {after:?}");
    assert!(inside.customer(ana()).is_err());
    drop(inside);
    transaction.commit().unwrap_err();
    assert_eq!(shop.crm.overview().unwrap().customers, 0);
}

#[test]
fn what_is_asked_inside_after_the_crm_lost_the_transaction_is_refused() {
    let mut shop = Shop::open();
    let customer = shop.crm.record(order("1", 50)).unwrap().customer;
    let transaction = begin(&mut shop.connection);
    transaction.execute("INSERT INTO sale VALUES ('2', 7000)", []).unwrap();
    transaction
        .execute_batch(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON main.crm_request WHEN NEW.key = 'full'
             BEGIN SELECT raise(ROLLBACK, 'full'); END",
        )
        .unwrap();
    let mut inside = shop.crm.within(&transaction).unwrap();
    let tag = |name| Command::AddTag(Tag::new(name).unwrap());
    inside.execute(customer, tag("first"), "full").unwrap_err();
    let after = inside.execute(customer, tag("second"), "tag");
    assert!(matches!(after, Err(Error::Storage(_))), "it would be committed by itself: {after:?}");
    drop(inside);
    transaction.commit().unwrap_err();
    assert_eq!(shop.sales(), 0);
    assert!(!shop.crm.customer(ana()).unwrap().unwrap().has_tag(&Tag::new("second").unwrap()));
}

#[test]
fn a_key_outside_is_not_destroyed_by_what_may_be_rolled_back() {
    let mut shop = Shop::open_with(crm::Crm::builder().person_keys(Drawer::default()));
    let customer = shop.crm.record(order("1", 50)).unwrap().customer;
    let name = FieldName::new("name").unwrap();
    shop.crm.keep_personal(customer, &[(name.clone(), Some("Ana"))]).unwrap();
    let transaction = begin(&mut shop.connection);
    let erased = shop.crm.within(&transaction).unwrap().run(async |crm| crm.erase(customer).await);
    assert!(matches!(erased, Err(Error::Personal(PersonalError::Inside))), "{erased:?}");
    transaction.commit().unwrap();
    assert_eq!(shop.crm.personal(customer).unwrap()[&name], "Ana");
    assert_eq!(shop.crm.erase(customer).unwrap().fields, 1);
}

#[test]
fn inside_the_definitions_of_that_database_count() {
    let mut shop = Shop::open();
    // As many definitions, and others.
    let crm = Crm::in_memory();
    crm.define(Timestamp::MIN, program("silver")).unwrap();
    let transaction = begin(&mut shop.connection);
    crm.within(&transaction).unwrap().record(order("1", 50)).unwrap();
    transaction.commit().unwrap();
    let ana = shop.crm.customer(ana()).unwrap().unwrap();
    let books: Vec<_> = ana.books().map(|(program, book)| (program.as_str(), book.balance())).collect();
    assert_eq!(books, [("points", 50)]);
}

#[test]
fn inside_the_look_up_key_is_checked_against_that_database() {
    let mut shop = Shop::open();
    let crm = Crm::from(crm::Crm::builder().lookup_key(LookupKey::new(&[2; 32])).build());
    // It has been checked against a store of its own, with as many definitions.
    crm.define(Timestamp::MIN, program("points")).unwrap();
    let transaction = begin(&mut shop.connection);
    let recorded = crm.within(&transaction).unwrap().record(order("1", 50));
    assert!(matches!(recorded, Err(Error::LookupKey)), "{recorded:?}");
}

#[test]
fn whoever_waits_for_the_shops_transaction_keeps_nobody_from_reading() {
    let mut shop = Shop::open();
    // Many, since long lists are read by the thread that writes.
    let orders = (0..80).map(|number: i64| order_of(&number.to_string(), &number.to_string(), 1));
    shop.crm.ingest(orders, Ingestion::history()).unwrap();
    let transaction = begin(&mut shop.connection);
    let crm = shop.crm.clone();
    let late = std::thread::spawn(move || crm.record(order("late", 1)));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(shop.crm.overview().unwrap().customers, 80);
    assert!(!late.is_finished(), "reading waited for the lock for writing as well");
    transaction.commit().unwrap();
    late.join().unwrap().unwrap();
    assert_eq!(shop.crm.overview().unwrap().customers, 81);
}

#[test]
fn the_shops_views_and_triggers_are_as_they_were_after_an_erasure() {
    let shop = Shop::open();
    let name = FieldName::new("name").unwrap();
    let customers = ["ana", "ben", "zoe"].map(|who| {
        let customer = shop.crm.record(order_of(who, who, 50)).unwrap().customer;
        shop.crm.keep_personal(customer, &[(name.clone(), Some(who))]).unwrap();
        customer
    });
    let schema = |connection: &Connection| {
        let mut all = connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY sql").unwrap();
        let all = all.query_map([], |row| row.get::<_, String>(0)).unwrap();
        all.map(Result::unwrap).collect::<Vec<_>>()
    };
    shop.connection
        .execute_batch(
            "CREATE VIEW waiting AS SELECT * FROM crm_outbox;
             CREATE TABLE seen (what TEXT);
             CREATE TRIGGER told AFTER INSERT ON crm_outbox BEGIN INSERT INTO seen VALUES (NEW.topic); END;
             CREATE TRIGGER named AFTER INSERT ON crm_personal BEGIN INSERT INTO seen VALUES (NEW.name); END;
             CREATE TRIGGER clearing AFTER INSERT ON sale BEGIN DELETE FROM crm_outbox WHERE 0; END;",
        )
        .unwrap();
    let before = schema(&shop.connection);
    let erased = shop.crm.erase(customers[0]).unwrap();
    assert_eq!((erased.fields, erased.copies), (1, crm::Copies::Gone));
    assert_eq!(schema(&shop.connection), before);
    shop.connection.execute("INSERT INTO sale VALUES ('1', 5000)", []).unwrap();
    let count = |table: &str| {
        let count = format!("SELECT count(*) FROM {table}");
        shop.connection.query_row(&count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((count("waiting"), count("seen")), (0, 0), "no trigger fires for what is only written anew");
    // What the shop broke, or what only its own connections can read, is none of the store's business.
    shop.connection
        .execute_batch(
            "CREATE TABLE old (x); CREATE VIEW broken AS SELECT x FROM old; DROP TABLE old;
             CREATE VIEW priced AS SELECT price_of(number) FROM sale;
             CREATE TRIGGER nowhere AFTER DELETE ON sale BEGIN INSERT INTO nowhere VALUES (1); END;",
        )
        .unwrap();
    let before = schema(&shop.connection);
    let erased = shop.crm.erase(customers[1]).unwrap();
    assert_eq!((erased.fields, erased.copies), (1, crm::Copies::Gone));
    assert_eq!(schema(&shop.connection), before);
    assert_eq!(shop.crm.personal(customers[2]).unwrap()[&name], "zoe");
}

fn marketing() -> Purpose {
    Purpose::new("marketing").unwrap()
}

fn proof() -> Proof {
    let wording =
        Wording { version: "1".parse().unwrap(), sha256: Digest::of(b"yes"), locale: Locale::new("en").unwrap() };
    Proof::new(Method::Form, wording, "web".parse().unwrap())
}

#[test]
fn consent_ties_and_cards_are_written_inside_and_a_rollback_leaves_nothing_of_them() {
    let clock = ManualClock::at(Timestamp::parse("2026-01-06T12:00:00Z").unwrap());
    let mut shop = Shop::open_with(crm::Crm::builder().clock(clock));
    let [ana, ben] = ["ana", "ben"].map(|who| shop.crm.record(order_of(who, who, 50)).unwrap().customer);
    let source = || Source::new("shop").unwrap();
    let mail = |who: &str| Identifier::email(&format!("{who}@example.com")).unwrap();
    let crm = shop.crm.clone();
    let by_mail = ContactQuery::new(marketing(), Channel::Email, crm.now());
    let both = || [ana, ben].map(|id| (crm.story(id).unwrap(), crm.card(id).unwrap(), crm.card_history(id).unwrap()));
    for kept in [false, true] {
        let before = both();
        let transaction = begin(&mut shop.connection);
        transaction.execute("INSERT INTO sale VALUES ('1', 5000)", []).unwrap();
        let mut inside = crm.within(&transaction).unwrap();

        let asked = OptIn::new(marketing(), Channel::Email, mail("ana"), proof());
        let token = inside.request_opt_in(ana, asked).unwrap().token;
        assert!(inside.peek_opt_in(&token).is_ok());
        let by = || ConfirmProof { collected_by: "page".parse().unwrap(), address: None };
        assert!(matches!(inside.confirm_opt_in(&token, by()).unwrap(), Confirmation::Confirmed { .. }));
        assert!(inside.may_contact(ana, &by_mail, Some(&mail("ana"))).unwrap().is_ok());
        let link = inside.unsubscribe_token(ben, marketing(), Channel::Email);
        assert_eq!(inside.peek_unsubscribe(link.as_str()).unwrap().customer, ben);
        assert!(inside.withdraw_by_token(link.as_str()).unwrap().event.is_some());
        let withdrawn = Err(Barred::NoConsent { status: ConsentStatus::Withdrawn });
        assert_eq!(inside.may_contact(ben, &by_mail, Some(&mail("ben"))).unwrap(), withdrawn);
        let stop = ConsentWithdrawn::new(marketing(), Which::All, Method::Reply);
        let stopped = inside.withdraw_by_address(&mail("zoe"), stop, crm.now(), &source()).unwrap();
        assert_eq!(stopped, AddressWithdrawn::Suppressed);
        assert!(inside.suppress(&mail("eve"), SuppressionReason::Complaint, &source()).unwrap());
        let list = ["eve", "kim", "lee"].map(mail);
        assert_eq!(inside.suppress_all(list, SuppressionReason::PublicList, &source()).unwrap(), 2);
        assert!(inside.unsuppress(ana, &mail("lee"), proof()).unwrap());
        assert!(inside.is_suppressed(&mail("kim")).unwrap().is_some());
        assert_eq!(inside.may_contact(ana, &by_mail, Some(&mail("eve"))).unwrap(), Err(Barred::Suppressed));

        let tie = |kind| Tie { from: ana, to: ben, kind, strength: Strength::FULL };
        inside.tie(tie(TieKind::Referred), crm.now(), source(), "t-1".parse().unwrap()).unwrap();
        inside
            .tie(tie(TieKind::Household), Timestamp::parse("2026-01-05").unwrap(), source(), "t-2".parse().unwrap())
            .unwrap();
        let end = Untie { from: ben, to: ana, kind: TieKind::Household };
        inside.untie(end, crm.now(), source(), "t-3".parse().unwrap()).unwrap();

        let update = CardUpdate::new().employer(CardLine::new("Acme").unwrap());
        inside.update_card(ana, update, &source(), crm.now()).unwrap();
        assert_eq!(inside.card(ana).unwrap().employer(), Some("Acme"));
        assert_eq!(inside.cards(&[ben, ana]).unwrap().len(), 2);
        assert_eq!(inside.card_history(ana).unwrap().len(), 1);
        assert!(inside.completeness(ana).is_ok());
        drop(inside);

        assert_eq!(both(), before, "nobody else sees any of it");
        if kept {
            transaction.commit().unwrap()
        } else {
            transaction.rollback().unwrap()
        }
        let suppressed = ["zoe", "eve", "kim", "lee"].map(|who| crm.is_suppressed(&mail(who)).unwrap().is_some());
        assert_eq!(suppressed, [kept, kept, kept, false]);
        let may = crm.may_contact(ana, &by_mail, Some(&mail("ana"))).unwrap();
        assert_eq!((may.is_ok(), crm.card(ana).unwrap().employer().is_some()), (kept, kept));
        let ties = [ana, ben].map(|id| crm.customer(id).unwrap().unwrap().ties().count());
        assert_eq!(ties, [usize::from(kept); 2]);
        if !kept {
            assert_eq!(both(), before, "it never was");
            assert!(crm.peek_opt_in(&token).is_err(), "nor was there ever such a token");
        }
    }
}

#[test]
fn an_erasure_inside_ends_the_ties_of_all_who_were_merged() {
    let mut shop = Shop::open();
    let people = ["ana", "anna", "ben"];
    let [ana, anna, ben] = people.map(|who| shop.crm.record(order_of(who, who, 50)).unwrap().customer);
    let source = || Source::new("shop").unwrap();
    let tie = |from, to| Tie { from, to, kind: TieKind::WorksFor, strength: Strength::FULL };
    shop.crm.tie(tie(ana, ben), shop.crm.now(), source(), "t-1".parse().unwrap()).unwrap();
    shop.crm.tie(tie(ben, anna), shop.crm.now(), source(), "t-2".parse().unwrap()).unwrap();
    shop.crm.merge(ana, anna, "one".parse().unwrap()).unwrap();
    for kept in [false, true] {
        let transaction = begin(&mut shop.connection);
        let mut inside = shop.crm.within(&transaction).unwrap();
        let erased = inside.run(async |crm| crm.erase(anna).await).unwrap();
        assert_eq!(erased.ties, 2);
        assert_eq!(inside.customer(ben).unwrap().unwrap().ties().count(), 0);
        let again = inside.tie(tie(ben, ana), shop.crm.now(), source(), "t-3".parse().unwrap());
        assert!(matches!(again, Err(Error::Fact(FactRefusal::Tie(_)))), "{again:?}");
        drop(inside);
        if kept {
            transaction.commit().unwrap()
        } else {
            transaction.rollback().unwrap()
        }
        assert_eq!(shop.crm.customer(ben).unwrap().unwrap().ties().count(), if kept { 0 } else { 2 });
    }
}

/// What customers do together, codes and gift cards, all in one transaction of the shop's.
fn together(shop: &mut Shop, commits: bool) {
    let transaction = begin(&mut shop.connection);
    let mut inside = shop.crm.within(&transaction).unwrap();
    let cart = Cart::new(Money::new(5_000, Currency::EUR));
    let quote = inside.quote(ana().into(), &points(), &cart).unwrap();
    assert_eq!(quote.points(), 50);
    let ana = inside.record(order("1", 50)).unwrap().customer;
    let visit = crm::Visited { channel: Channel::Web, place: None };
    let at = Timestamp::parse("2026-01-05").unwrap();
    let ben = Incoming::new(someone("ben"), at, Source::new("shop").unwrap(), visit);
    let ben = inside.record(ben).unwrap().customer;
    let why: crm::Remark = "test".parse().unwrap();
    let gift = crm::GivePoints { program: points(), points: 10, reason: why.clone() };
    inside.give_points(ana, ben, gift, "gift").unwrap();
    inside.pool(ana, &points(), PoolCommand::Open { kind: crm::PoolKind::Household }, "open").unwrap();
    let join = PoolCommand::Join { member: ben, allowance: crm::MemberAllowance::Any };
    inside.pool(ana, &points(), join, "join").unwrap();
    let spend = PoolCommand::Redeem { member: ben, points: 5, reason: why.clone() };
    inside.pool(ana, &points(), spend, "spend").unwrap();
    inside.refer(&"friend".parse().unwrap(), ana, ben, "refer").unwrap();
    let (spring, seed) = ("spring".parse().unwrap(), crm::Seed::from_bytes([7; 32]));
    let commitment = seed.commitment();
    let draw = crm::Draw { program: points(), points: 100, winners: 1, commitment, entries: None };
    inside.announce_draw(&spring, draw).unwrap();
    let entries = DrawEntries::These(crm::Entries::new([(ben, 1)]).unwrap());
    assert_eq!(inside.draw(&spring, &entries, &seed, "draw").unwrap().winners, [ben]);
    let coupon = "TEN".parse().unwrap();
    let given = inside.issue_voucher(ben, &coupon, None).unwrap();
    inside.redeem_voucher(ben, &given.code, "cart".parse().unwrap(), None, "voucher").unwrap();
    let batch = crm::VoucherBatch { coupon, name: "flyer".parse().unwrap(), expires_at: None };
    assert_eq!(inside.issue_vouchers(&batch, 3).unwrap().len(), 3);
    let code = crm::GiftCardCode::random().unwrap();
    let sale = crm::GiftCardSale::new(Money::new(2_000, Currency::EUR));
    let card = inside.issue_gift_card(ana, &code, sale, "card").unwrap().card;
    assert!(matches!(inside.gift_card(card).unwrap().unwrap().state, crm::GiftCardState::Open { minor: 2_000, .. }));
    inside.redeem_gift_card(ben, &code, "redeem").unwrap();
    assert!(matches!(inside.block_gift_card(card, why, "block"), Err(Error::Refused(_))), "it was redeemed");
    drop(inside);
    if commits { transaction.commit().unwrap() } else { transaction.rollback().unwrap() }
}

#[test]
fn what_customers_do_together_is_in_the_shops_transaction_wholly_or_not_at_all() {
    let mut shop = Shop::open();
    let pools = crm::PoolPolicy { members: 5, each: None, on_leaving: crm::OnLeaving::Stay, share_millionths: 0 };
    let gifts = Some(crm::GiftPolicy::default());
    let program = Program { gifts, pools: Some(pools), ..Program::point_per_unit(Currency::EUR) };
    let from = Timestamp::parse("2026-01-01").unwrap();
    shop.crm.define(from, Definition::Program(points(), Some(program))).unwrap();
    let referral = crm::Referral {
        program: points(),
        referrer: 5,
        referred: 5,
        at_least: None,
        wait: crm::Span::days(14),
        each: None,
    };
    shop.crm.define(Timestamp::MIN, Definition::Referral("friend".parse().unwrap(), Some(referral))).unwrap();
    let coupon = crm::Coupon::new(crm::Benefit::PercentOff(10));
    shop.crm.define(Timestamp::MIN, Definition::Coupon("TEN".parse().unwrap(), Some(Box::new(coupon)))).unwrap();

    together(&mut shop, false);
    assert_eq!((shop.balance(), shop.crm.customer(someone("ben")).unwrap()), (None, None));
    assert_eq!(shop.crm.overview().unwrap().customers, 0);
    assert!(shop.crm.audit_log(None, 10).unwrap().records.is_empty());

    together(&mut shop, true);
    assert_eq!(shop.balance(), Some(35));
    let ben = shop.crm.customer(someone("ben")).unwrap().unwrap();
    assert_eq!(ben.book(&points()).unwrap().balance(), 110);
    assert_eq!(ben.credit_in(Currency::EUR).unwrap().balance(), 2_000);
    assert!(ben.used_coupon(&"TEN".parse().unwrap()) && ben.referred().is_some());
    let ana = shop.crm.customer(ana()).unwrap().unwrap();
    assert_eq!(ana.pool(&points()).unwrap().member(ben.id()).unwrap().spent(), 5);
    assert_eq!(shop.crm.audit_log(None, 10).unwrap().records.len(), 2, "the draw was announced and drawn");
}
