//! A shop that keeps its own table in the same file as the CRM.

use std::path::Path;

use crm::blocking::Crm;
use crm::sqlite::install;
use crm::sqlite::rusqlite::{Connection, TransactionBehavior};
use crm::{
    ClaimCoupon, Command, Currency, Definition, ExternalSystem, Identifier, Incoming, Money, OrderPlaced, OrderRef,
    Program, ProgramId, RedeemPoints, Source, SqliteOptions, SqliteStore, Timestamp,
};

type Failure = Box<dyn std::error::Error>;

/// What a customer wants to buy, and how they pay for it.
pub(crate) struct Basket<'a> {
    pub(crate) order: String,
    pub(crate) cents: i64,
    /// Points to be spent.
    pub(crate) points: i64,
    pub(crate) coupon: Option<&'a str>,
}

pub(crate) struct Shop {
    connection: Connection,
    crm: Crm,
    system: ExternalSystem,
    points: ProgramId,
}

impl Shop {
    /// Opens the shop's database, and puts the CRM's tables beside its own.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let mut connection = Connection::open(path)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS sale (number TEXT PRIMARY KEY, customer TEXT NOT NULL, cents INTEGER NOT NULL)",
        )?;
        install(&mut connection)?;
        // Everything but checkouts goes through a store of its own, to the same file.
        let store = SqliteStore::open_with(path, &SqliteOptions::default().beside_other_tables())?;
        let crm = Crm::from(crm::Crm::builder().store(store).build());
        Ok(Shop { connection, crm, system: ExternalSystem::new("shop")?, points: ProgramId::new("points")? })
    }

    pub(crate) fn define_rules(&self) -> Result<(), Failure> {
        let program = Definition::Program(self.points.clone(), Some(Program::point_per_unit(Currency::EUR)));
        self.crm.define(Timestamp::MIN, program)?;
        Ok(())
    }

    /// Sells a basket. The coupon is used and the points are spent by the same commit that makes the sale;
    /// when one of them is refused, there is no sale, no order, and everything is as it was.
    pub(crate) fn check_out(&mut self, customer: &str, basket: &Basket<'_>) -> Result<(), Failure> {
        let who = Identifier::external(&self.system, customer)?;
        let placed =
            OrderPlaced::new(Money::new(basket.cents, Currency::EUR)).with_order(OrderRef::new(&basket.order)?);
        let order = Incoming::new(who, self.crm.now(), Source::new("shop")?, placed);

        // Immediate: the lock for writing is taken first, so nobody else's write can come in between.
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let sale = (&basket.order, customer, basket.cents);
        transaction.execute("INSERT INTO sale (number, customer, cents) VALUES (?1, ?2, ?3)", sale)?;
        let mut crm = self.crm.within(&transaction)?;
        let customer = crm.record(order)?.customer;
        if basket.points > 0 {
            let reason = format!("order {}", basket.order).parse()?;
            let redeem =
                RedeemPoints { program: self.points.clone(), points: basket.points, reason, order: None, total: None };
            crm.execute(customer, Command::RedeemPoints(redeem), &format!("points of order {}", basket.order))?;
        }
        if let Some(coupon) = basket.coupon {
            let claim = Command::ClaimCoupon(ClaimCoupon { coupon: coupon.parse()?, uses: 2 });
            crm.execute(customer, claim, &format!("coupon of order {}", basket.order))?;
        }
        drop(crm);
        // Any error above drops the transaction, and that rolls it back.
        Ok(transaction.commit()?)
    }

    pub(crate) fn sales(&self) -> Result<i64, Failure> {
        Ok(self.connection.query_row("SELECT count(*) FROM sale", [], |row| row.get(0))?)
    }

    /// The points of a customer; 0 for one who never bought anything.
    pub(crate) fn points(&self, customer: &str) -> Result<i128, Failure> {
        let customer = self.crm.customer(&Identifier::external(&self.system, customer)?)?;
        Ok(customer.and_then(|customer| customer.book(&self.points).map(|book| book.balance())).unwrap_or(0))
    }

    /// Closes the store first: it copies the log back and leaves one file.
    pub(crate) fn close(self) -> Result<(), Failure> {
        drop(self.crm);
        self.connection.close().map_err(|(_, error)| error.into())
    }
}
