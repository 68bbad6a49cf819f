//! A loyalty club over a year of real baskets and real coupon redemptions: who reaches which tier, what a basket would earn,
//! a checkout that pays with points in the shop's own transaction, what comes back with it, what expires, and the books.
//!
//! ```sh
//! cargo run --release --example loyalty
//! cargo run --release --example loyalty -- --household 2488
//! ```

mod club;
mod journey;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use crm::blocking::Crm;
use crm::loyalty::{RedeemCoupon, UseName};
use crm::sqlite::install;
use crm::sqlite::rusqlite::{Connection, TransactionBehavior};
use crm::{
    Command, CustomerId, Definition, DerivedIds, ExternalSystem, Identifier, Incoming, Ingestion, ManualClock, Money,
    OrderRef, ProgramId, RedeemPoints, Refunded, Source, Span, SqliteOptions, SqliteStore, Timestamp,
};
use journey::{Basket, Redeemed};

type Failure = Box<dyn Error>;

/// A loyalty club over a year of a grocery's baskets.
#[derive(Debug, Parser)]
#[command(name = "loyalty")]
struct Arguments {
    /// The baskets: time, household, basket, department, pieces, cents.
    #[arg(long, value_name = "FILE")]
    baskets: Option<PathBuf>,
    /// The coupons that were redeemed: date, household, campaign, coupon.
    #[arg(long, value_name = "FILE")]
    redemptions: Option<PathBuf>,
    /// Who goes to the till in the end; by default who has the most points.
    #[arg(long, value_name = "NUMBER")]
    household: Option<String>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(help) => help.exit(),
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "loyalty: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let or = |given: &Option<PathBuf>, name: &str| given.clone().unwrap_or_else(|| data.join(name));
    let baskets = journey::baskets(&or(&arguments.baskets, "journey_baskets.csv.gz"))?;
    let redeemed = journey::redemptions(&or(&arguments.redemptions, "journey_redemptions.csv"))?;
    let out = &mut std::io::stdout().lock();

    let folder = tempfile::tempdir()?;
    let mut shop = Shop::open(&folder.path().join("shop.db"), &redeemed)?;
    shop.live_through(out, &baskets, &redeemed)?;
    let household = match &arguments.household {
        Some(household) => household.clone(),
        None => shop.richest(&baskets)?,
    };
    shop.check_out(out, &household, &baskets)?;
    shop.let_expire(out, &household)?;
    shop.books(out, &household)
}

/// The shop: its own table, and the CRM in the same file.
struct Shop {
    connection: Connection,
    crm: Crm,
    clock: Arc<ManualClock>,
    club: ProgramId,
}

fn identifier(household: &str) -> Result<Identifier, Failure> {
    Ok(Identifier::external(&ExternalSystem::new("household")?, household)?)
}

fn incoming(basket: &Basket, points_minor: i64) -> Result<Incoming, Failure> {
    let (who, key) = (identifier(&basket.household)?, basket.number.parse()?);
    Ok(Incoming::new(who, basket.at, Source::new("till")?, basket.order(points_minor)?).with_key(key))
}

impl Shop {
    fn open(file: &Path, redeemed: &[Redeemed]) -> Result<Self, Failure> {
        let mut connection = Connection::open(file)?;
        connection.execute_batch("CREATE TABLE sale (number TEXT PRIMARY KEY, cents INTEGER NOT NULL)")?;
        install(&mut connection)?;
        let store = SqliteStore::open_with(file, &SqliteOptions::default().beside_other_tables())?;
        let clock = Arc::new(ManualClock::at(Timestamp::parse("2017-01-01")?));
        let crm = crm::Crm::builder().store(store).clock(Arc::clone(&clock)).ids(DerivedIds).build();
        let (crm, club) = (Crm::from(crm), ProgramId::new("club")?);
        crm.define(Timestamp::MIN, Definition::Program(club.clone(), Some(club::club()?)))?;
        let mut campaigns: Vec<&str> = redeemed.iter().map(|redeemed| redeemed.campaign.as_str()).collect();
        campaigns.sort_unstable();
        campaigns.dedup();
        for number in campaigns {
            let (code, coupon) = club::campaign(number)?;
            crm.define(Timestamp::MIN, Definition::Coupon(code, Some(Box::new(coupon))))?;
        }
        Ok(Shop { connection, crm, clock, club })
    }

    /// Day by day: baskets come in, coupons are redeemed, and what is due is worked off.
    fn live_through(&self, out: &mut impl Write, baskets: &[Basket], redeemed: &[Redeemed]) -> Result<(), Failure> {
        let (Some(first), Some(last)) = (baskets.first(), baskets.last()) else { return Err("no baskets".into()) };
        let (mut day, mut baskets, mut redeemed) = (first.at.midnight(), baskets, redeemed);
        let (count, mut used, mut refused) = (baskets.len(), 0, 0);
        while day <= last.at {
            day = day.plus(Span::days(1));
            self.clock.set(day);
            let (today, later) = baskets.split_at(baskets.partition_point(|basket| basket.at < day));
            baskets = later;
            let facts = today.iter().map(|basket| incoming(basket, 0)).collect::<Result<Vec<_>, _>>()?;
            self.crm.ingest(facts, Ingestion::live())?;
            let (today, later) = redeemed.split_at(redeemed.partition_point(|redeemed| redeemed.on < day));
            redeemed = later;
            for (n, one) in today.iter().enumerate() {
                let Some(customer) = self.crm.customer(identifier(&one.household)?)? else { continue };
                let name = UseName::new(format!("{} {} {n}", one.on, one.coupon))?;
                let key = name.as_str().to_owned();
                let (coupon, _) = club::campaign(&one.campaign)?;
                let redeem = Command::RedeemCoupon(RedeemCoupon { coupon, name, order: None, voucher: None });
                match self.crm.execute(customer.id(), redeem, &key) {
                    Ok(_) => used += 1,
                    Err(crm::Error::Refused(_)) => refused += 1,
                    Err(error) => return Err(error.into()),
                }
            }
            self.crm.advance(day)?;
        }
        let overview = self.crm.overview()?;
        writeln!(out, "{count} baskets of {} households, {used} coupons used, {refused} refused", overview.customers)?;
        let mut tiers: BTreeMap<String, u32> = BTreeMap::new();
        let club = &self.club;
        self.crm.for_each_customer(|customer| {
            let tier = customer.standing().tier(club).map_or("none", |tier| tier.as_str());
            *tiers.entry(tier.to_owned()).or_default() += 1;
        })?;
        writeln!(out, "Tiers at the end of the year: {tiers:?}")?;
        let points = overview.points;
        writeln!(out, "Points: {} earned, {} expired, {} there", points.earned, points.expired, points.outstanding())?;
        Ok(())
    }

    fn richest(&self, baskets: &[Basket]) -> Result<String, Failure> {
        let mut households: Vec<&str> = baskets.iter().map(|basket| basket.household.as_str()).collect();
        households.sort_unstable();
        households.dedup();
        let mut most = (i128::MIN, "");
        for household in households {
            most = most.max((self.balance(household)?, household));
        }
        Ok(most.1.to_owned())
    }

    fn balance(&self, household: &str) -> Result<i128, Failure> {
        let customer = self.crm.customer(identifier(household)?)?;
        Ok(customer.and_then(|customer| customer.book(&self.club).map(|book| book.balance())).unwrap_or(0))
    }

    /// The largest basket once more: a quote, a checkout in one transaction with the shop, and half of it back.
    fn check_out(&mut self, out: &mut impl Write, household: &str, baskets: &[Basket]) -> Result<(), Failure> {
        let own = baskets.iter().filter(|basket| basket.household == household);
        let largest = own.max_by_key(|basket| basket.cart(0).total.minor());
        let largest = largest.ok_or_else(|| format!("no household {household} in the file"))?;
        let now = self.crm.now();
        let again = Basket {
            at: now,
            number: "again".to_owned(),
            household: household.to_owned(),
            lines: largest.lines.clone(),
        };
        let before = self.balance(household)?;
        let quote = self.crm.quote(identifier(household)?, &self.club, &again.cart(0))?;
        writeln!(out, "\nHousehold {household} has {before} points, and a basket of {}", again.cart(0).total)?;
        writeln!(out, "  it would earn {} points:", quote.points())?;
        for (rule, reason) in &quote.earning.reasons {
            writeln!(out, "    {rule}: {reason}")?;
        }
        let (points, minor) = (quote.redeemable.points, quote.redeemable.worth_minor);
        writeln!(out, "  {points} points would pay {} of it", Money::new(minor, again.cart(0).total.currency()))?;

        // Paid with points, it earns less: what was paid with points earns none.
        let quote = self.crm.quote(identifier(household)?, &self.club, &again.cart(minor))?;
        let customer = self.sell(&again, points, minor)?;
        let club = self.club.clone();
        let book = |crm: &Crm| -> Result<_, Failure> {
            let customer = crm.customer(customer)?.ok_or("the household is not there")?;
            let book = customer.book(&club).ok_or("the household has no points")?;
            Ok((book.balance(), book.pending()))
        };
        let (balance, pending) = book(&self.crm)?;
        writeln!(out, "  sold: {balance} points left, {pending} pending, of which {} as quoted", quote.points())?;

        // A second till with the same points in mind is refused, and the shop's sale with it.
        let twice =
            Basket { number: "twice".to_owned(), at: now, household: household.to_owned(), lines: again.lines.clone() };
        let refusal = self.sell(&twice, points.max(1).saturating_add(i64::try_from(balance).unwrap_or(0)), minor);
        let sales: i64 = self.connection.query_row("SELECT count(*) FROM sale", [], |row| row.get(0))?;
        let refusal = refusal.err().map_or("sold".to_owned(), |refusal| refusal.to_string());
        writeln!(out, "  the same points once more: {refusal}; {sales} sale in the shop's own table")?;

        let amount = Money::new(again.cart(0).total.minor() / 2, again.cart(0).total.currency());
        let refund = Refunded { order: Some(OrderRef::new("again")?), amount };
        let (who, source) = (identifier(household)?, Source::new("till")?);
        let later = now.plus(Span::days(1));
        self.clock.set(later);
        self.crm.record(Incoming::new(who, later, source, refund))?;
        let (balance, pending) = book(&self.crm)?;
        writeln!(out, "  {amount} come back: {balance} points, {pending} pending")?;
        Ok(())
    }

    /// Sells a basket: the shop's row, the order and the points, or none of them.
    fn sell(&mut self, basket: &Basket, points: i64, points_minor: i64) -> Result<CustomerId, Failure> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let sale = (&basket.number, basket.cart(0).total.minor());
        transaction.execute("INSERT INTO sale (number, cents) VALUES (?1, ?2)", sale)?;
        let mut crm = self.crm.within(&transaction)?;
        let customer = crm.record(incoming(basket, points_minor)?)?.customer;
        if points > 0 {
            let (reason, order) = ("at the till".parse()?, Some(OrderRef::new(&basket.number)?));
            let redeem = RedeemPoints { program: self.club.clone(), points, reason, order, total: None };
            crm.execute(customer, Command::RedeemPoints(redeem), &basket.number)?;
        }
        drop(crm);
        transaction.commit()?;
        Ok(customer)
    }

    /// Nobody buys anything any more, and points run out, day by day.
    fn let_expire(&self, out: &mut impl Write, household: &str) -> Result<(), Failure> {
        let (before, expired) = (self.balance(household)?, self.crm.overview()?.points.expired);
        let mut now = self.crm.now();
        for _ in 0..120 {
            now = now.plus(Span::days(1));
            self.clock.set(now);
            self.crm.advance(now)?;
        }
        let gone = self.crm.overview()?.points.expired - expired;
        let after = self.balance(household)?;
        writeln!(out, "\n120 days later {gone} points have expired; the household has {after} and had {before}")?;
        Ok(())
    }

    /// The statement, the trial balance and the liability.
    fn books(&self, out: &mut impl Write, household: &str) -> Result<(), Failure> {
        let now = self.crm.now();
        let from = now.minus(Span::days(121));
        let statement = self.crm.statement(identifier(household)?, &self.club, from, Timestamp::MAX)?;
        let account = statement.ok_or("the household is not there")?.account;
        writeln!(out, "\nStatement of household {household} from {from}")?;
        writeln!(out, "  opening {:>36} {:>8} {:>8}", "", account.opening.balance(), account.opening.pending)?;
        for line in &account.lines {
            let (kind, after) = (line.kind.name(), line.after);
            writeln!(out, "  {} {kind:<12} {:>8} {:>8} {:>8}", line.at, line.points, after.balance(), after.pending)?;
        }
        let balance = self.crm.trial_balance(&self.club, now)?;
        writeln!(out, "\nTrial balance")?;
        for (account, points) in balance.accounts().filter(|(_, points)| *points != 0) {
            writeln!(out, "  {:<18} {points:>9}", account.name())?;
        }
        writeln!(out, "  {:<18} {:>9}", "sum", balance.sum())?;
        let liability = self.crm.liability(&self.club, now)?;
        writeln!(out, "\nLiability: {} points are outstanding", liability.gross())?;
        match &liability.breakage {
            Ok(breakage) => writeln!(
                out,
                "  {} will be redeemed, {} lost, {} are beyond what {} months tell",
                breakage.redeemed, breakage.lost, breakage.beyond, breakage.months
            )?,
            Err(little) => writeln!(out, "  what will be lost cannot be said: {little}")?,
        }
        // The books of all households say the same as their histories do.
        let there = self.crm.overview()?.points.outstanding();
        if balance.sum() == 0 && balance.outstanding() == there {
            writeln!(out, "The books balance: {there} points by the histories and by the books.")?;
            return Ok(());
        }
        Err(format!("{} points by the histories, {there} by the books", balance.outstanding()).into())
    }
}
