//! A shop's orders, a dozen segments, and time: who is in which, day by day, without anybody being asked again for
//! nothing.
//!
//! ```sh
//! cargo run --release --example segments
//! cargo run --release --example segments -- --customer 00111
//! cargo run --release --example segments -- --orders my-orders.csv --columns customer=buyer,time=day,amount=total
//! ```

#[path = "storefront/incoming.rs"]
mod incoming;
#[path = "storefront/orders/mod.rs"]
#[allow(dead_code, reason = "the storefront uses more of it")]
mod orders;

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use crm::blocking::Crm;
use crm::{
    Clause, Currency, Definition, DerivedIds, Ingestion, LifecyclePolicy, ManualClock, Predicate, SegmentName, Span,
    Subject, Timestamp,
};

/// A dozen segments over a shop's orders, as text. A new one takes a line.
const SEGMENTS: [(&str, &str); 12] = [
    ("newcomers", "days_since(first_order) < 30"),
    ("one order, still warm", "orders == 1 && days_since(last_order) < 60"),
    ("one order, gone cold", "orders == 1 && days_since(last_order) >= 60"),
    ("regulars", r#"orders.in_last("90d") >= 3"#),
    ("big spenders", "spend >= 250"),
    ("big baskets", "average_order >= 60 && orders >= 2"),
    ("spending more", r#"orders >= 3 && orders.in_last("90d").sum() * 2 > spend"#),
    ("a year with us", r#"days_since(first_order) >= 365 && orders.in_last("180d") >= 1"#),
    ("going quiet", "orders >= 3 && days_since(last_order) >= 90 && days_since(last_order) < 180"),
    ("best customers", r#"segment("big spenders") && segment("regulars")"#),
    ("worth winning back", r#"segment("big spenders") && stage == "historical""#),
    ("spring trial", r#"bucket("spring trial", 10) == 0 && stage == "purchase""#),
];

/// Who is in which segment of a shop, as time goes by.
#[derive(Debug, Parser)]
#[command(name = "segments")]
struct Arguments {
    /// The orders, as csv or csv.gz; by default those of an online music shop, 1997 to 1998.
    #[arg(long, value_name = "FILE")]
    orders: Option<PathBuf>,
    /// What the columns mean, where their names do not tell:
    /// customer=…,time=…,amount=… and optionally order=…,product=…,quantity=…,price=….
    #[arg(long, value_name = "ROLE=COLUMN,…")]
    columns: Option<orders::ColumnMap>,
    /// The currency of the amounts.
    #[arg(long, value_name = "CODE", default_value = "USD")]
    currency: Currency,
    /// Whose segments are explained, by the shop's own number; by default who has been in and out the most.
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// How many days without any order are let pass in the end, each for itself.
    #[arg(long, value_name = "DAYS", default_value_t = 200)]
    days: u32,
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
            let _ = writeln!(std::io::stderr(), "segments: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/cdnow_sample.csv.gz");
    let path = arguments.orders.clone().unwrap_or(sample);
    let file = orders::read(&path, arguments.columns.as_ref(), arguments.currency.exponent())?;
    let (Some(first), Some(last)) = (file.first_at(), file.last_at()) else { return Err("no orders".into()) };
    let begin = Timestamp::from_millis(first)?.midnight();
    let end = Timestamp::from_millis(last)?.midnight().plus(Span::days(1));
    let out = &mut std::io::stdout().lock();

    let clock = Arc::new(ManualClock::at(begin));
    let crm = Crm::from(crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds).build());
    let shop = Shop::open(crm, clock, arguments.currency)?;

    // The orders come in day by day. Each asks only the segments that it touches.
    let mut sizes = Sizes::default();
    let mut day = begin;
    let mut entries = file.entries.as_slice();
    while day < end {
        let evening = day.plus(Span::days(1));
        let today = entries.partition_point(|entry| entry.at_ms < evening.as_millis());
        let (now, later) = entries.split_at(today);
        entries = later;
        shop.clock.set(evening);
        let facts = now.iter().map(|entry| incoming::incoming(&file, entry, arguments.currency));
        shop.crm.ingest(facts.collect::<Result<Vec<_>, _>>()?, Ingestion::live())?;
        shop.crm.advance(evening)?;
        if evening.to_string().get(8..10) == Some("01") || evening == end {
            sizes.add(shop.sizes()?);
        }
        day = evening;
    }
    let customers = shop.crm.overview()?.customers;
    writeln!(out, "{} orders of {customers} customers, {begin} to {day}", file.entries.len())?;
    writeln!(out, "\nSizes at the end of each month")?;
    sizes.draw(out)?;

    let id = match &arguments.customer {
        Some(id) => id.clone(),
        None => shop.most_moved(&file)?,
    };
    shop.explain(out, &id)?;

    // And now nothing comes in any more: whoever moves does so because of the time alone.
    let mut quiet = Sizes::default();
    let mut woken = 0;
    for _ in 0..arguments.days {
        day = day.plus(Span::days(1));
        shop.clock.set(day);
        woken += shop.crm.advance(day)?;
        quiet.add(shop.sizes()?);
    }
    writeln!(out, "\n{} days without an order: {woken} customers woken by their timers, nobody else", arguments.days)?;
    quiet.draw(out)?;
    writeln!(out, "\n{}", shop.check()?)?;
    Ok(())
}

/// The CRM and its clock.
struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    segments: Vec<(SegmentName, Predicate)>,
}

impl Shop {
    fn open(crm: Crm, clock: Arc<ManualClock>, currency: Currency) -> Result<Self, Box<dyn Error>> {
        let policy = LifecyclePolicy {
            intent_fades_after: Span::days(30),
            quiet_after: Span::days(182),
            ..LifecyclePolicy::default()
        };
        crm.define(Timestamp::MIN, Definition::Currency(currency))?;
        crm.define(Timestamp::MIN, Definition::Lifecycle(policy))?;
        let mut segments = Vec::new();
        for (name, text) in SEGMENTS {
            let (name, rule) = (SegmentName::new(name)?, crm.rule(text)?);
            crm.define(Timestamp::MIN, Definition::Segment(name.clone(), Some(rule.clone())))?;
            segments.push((name, rule));
        }
        Ok(Shop { crm, clock, segments })
    }

    /// How many are in each segment, as the store counts them.
    fn sizes(&self) -> Result<Vec<u64>, Box<dyn Error>> {
        let count = |(name, _): &(SegmentName, Predicate)| self.crm.count(&Predicate::InSegment(name.clone()));
        Ok(self.segments.iter().map(count).collect::<Result<_, _>>()?)
    }

    /// The shop's number of the customer who has gone into and out of segments most often.
    fn most_moved(&self, file: &orders::OrderFile) -> Result<String, Box<dyn Error>> {
        let mut ids: Vec<&str> = file.entries.iter().map(|entry| file.customer(entry)).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut most = (0, "");
        for id in ids {
            let story = self.crm.story(incoming::identifier(id)?)?.ok_or("a customer of the file is not there")?;
            let moves = story.changes.iter().filter(|change| change.body.kind().starts_with("segment")).count();
            if moves > most.0 {
                most = (moves, id);
            }
        }
        Ok(most.1.to_owned())
    }

    /// Why one customer is where they are, and when that changes by itself.
    fn explain(&self, out: &mut impl std::io::Write, id: &str) -> Result<(), Box<dyn Error>> {
        let who = incoming::identifier(id)?;
        writeln!(out, "\nCustomer {id}")?;
        for (name, _) in &self.segments {
            let clause = self.crm.explain(&who, name)?.ok_or_else(|| format!("no customer {id} in the file"))?;
            let answer = if clause.holds == Some(true) { "in " } else { "out" };
            let until = clause.next_change.map_or(String::new(), |at| format!(", until {at} at the latest"));
            writeln!(out, "  {answer} {name}{until}")?;
            tell(out, &clause, 1)?;
        }
        Ok(())
    }

    /// Asks every rule of everybody anew, and compares.
    fn check(&self) -> Result<String, Box<dyn Error>> {
        let (definitions, now) = (self.crm.definitions()?, self.crm.now());
        let (mut asked, mut wrong) = (0_u64, 0_u64);
        self.crm.for_each_customer(|customer| {
            for (name, rule) in &self.segments {
                let holds = rule.truth(&Subject::new(customer, now, &definitions)) == Some(true);
                asked += 1;
                wrong += u64::from(holds != customer.standing().is_in(name));
            }
        })?;
        match wrong {
            0 => Ok(format!("Asked anew, all {asked} answers are the same.")),
            _ => Err(format!("{wrong} of {asked} memberships are wrong").into()),
        }
    }
}

/// A clause with its parts, each further in.
fn tell(out: &mut impl std::io::Write, clause: &Clause, depth: usize) -> Result<(), std::io::Error> {
    let answer = match clause.holds {
        Some(true) => "yes",
        Some(false) => "no",
        None => "missing",
    };
    let left = clause.left.map_or(String::new(), |left| format!(" (it is {left})"));
    writeln!(out, "  {:width$}{}: {answer}{left}", "", clause.text, width = 4 * depth)?;
    clause.parts.iter().try_for_each(|part| tell(out, part, depth + 1))
}

/// The sizes of all segments at several instants.
#[derive(Default)]
struct Sizes(Vec<Vec<u64>>);

impl Sizes {
    fn add(&mut self, sizes: Vec<u64>) {
        self.0.push(sizes);
    }

    /// A line for each segment, each to its own scale. Of many instants as many are drawn as fit.
    fn draw(&self, out: &mut impl std::io::Write) -> std::io::Result<()> {
        const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        const WIDTH: usize = 50;
        let step = self.0.len().div_ceil(WIDTH).max(1);
        for (n, (name, _)) in SEGMENTS.iter().enumerate() {
            let of: Vec<u64> = self.0.iter().filter_map(|sizes| sizes.get(n).copied()).collect();
            let most = of.iter().copied().max().unwrap_or(0).max(1);
            let mut bars = String::new();
            // The last one is always drawn.
            for size in of.iter().rev().step_by(step).rev() {
                let height = usize::try_from((size * 8).div_ceil(most)).unwrap_or(8);
                let _ = bars.write_char(BARS.get(height).copied().unwrap_or('█'));
            }
            let last = of.last().copied().unwrap_or(0);
            writeln!(out, "  {name:<22} {bars}  {last:>5}  (most {most})")?;
        }
        Ok(())
    }
}
