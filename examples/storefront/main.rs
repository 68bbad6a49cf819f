//! A shop's orders go in; customers come out, with a stage in their life cycle, segments, points, a
//! churn score and what a win-back workflow wants done.
//!
//! ```sh
//! cargo run --release --example storefront
//! cargo run --release --example storefront -- --customer 00004
//! cargo run --release --example storefront -- --orders my-orders.csv --columns customer=buyer,time=day,amount=total
//! ```

mod incoming;
mod orders;
mod replay;
mod report;
mod shop;
mod story;

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use crm::{Currency, Timestamp};

/// Reads a shop's orders into an embedded CRM and tells what it makes of them.
#[derive(Debug, Parser)]
#[command(name = "storefront")]
struct Arguments {
    /// The database; by default one for each order file, in the target folder.
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// The orders, as csv or csv.gz; by default those of an online music shop, 1997 to 1998.
    #[arg(long, value_name = "FILE")]
    orders: Option<PathBuf>,
    /// What the columns mean, where their names do not tell:
    /// customer=…,time=…,amount=… and optionally order=…,product=…,quantity=…,price=… (a price is that of
    /// one piece; an amount is that of the whole row).
    #[arg(long, value_name = "ROLE=COLUMN,…")]
    columns: Option<orders::ColumnMap>,
    /// The currency of the amounts.
    #[arg(long, value_name = "CODE", default_value = "USD")]
    currency: Currency,
    /// Up to which day time passes, or instant; by default the end of the last day in the file.
    #[arg(long, value_name = "DATE", value_parser = Timestamp::parse)]
    as_of: Option<Timestamp>,
    /// Also tells the whole story of one customer, by the shop's own number.
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Prints one JSON document and nothing else.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help is no error.
        Err(help) if !help.use_stderr() => help.exit(),
        Err(error) => {
            let message = error.to_string();
            return refuse(message.lines().next().unwrap_or_default().trim_start_matches("error: "));
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut message = error.to_string();
            let mut cause = error.source();
            while let Some(next) = cause {
                // Some errors repeat their cause, some leave it to be asked for.
                if !message.contains(&next.to_string()) {
                    message = format!("{message}: {next}");
                }
                cause = next.source();
            }
            refuse(&message)
        }
    }
}

/// One line on standard error, and exit code 2.
fn refuse(message: &str) -> ExitCode {
    // There is nobody left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "storefront: {}", message.replace('\n', " "));
    ExitCode::from(2)
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = arguments.orders.clone().unwrap_or_else(|| folder.join("examples/data/cdnow_sample.csv.gz"));

    // The whole file is read first: if it cannot be used, the database is as it was.
    let file = orders::read(&path, arguments.columns.as_ref(), arguments.currency.exponent())?;
    if let Some(id) = &arguments.customer
        && !file.entries.iter().any(|entry| file.customer(entry) == id)
    {
        return Err(format!("no customer {id} in {}", path.display()).into());
    }

    let db = match &arguments.db {
        Some(db) => db.clone(),
        None => default_db(folder, &path)?,
    };
    let mut shop = shop::Shop::open(&db, arguments.currency, file.first_at())?;
    let replay = replay::replay(&shop, &file, arguments.as_of)?;
    let scores = shop.score(replay.as_of)?;

    let report = report::Report::new(&shop, &file, &replay, &scores)?;
    let story = match &arguments.customer {
        Some(id) => Some(story::Story::of(&shop, id)?),
        None => None,
    };
    let mut out = std::io::stdout().lock();
    if arguments.json {
        let mut json = report.to_json();
        if let (Some(story), Some(document)) = (&story, json.as_object_mut()) {
            document.insert("story".to_owned(), story.to_json());
        }
        serde_json::to_writer_pretty(&mut out, &json)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
        if let Some(story) = story {
            write!(out, "{story}")?;
        }
    }
    Ok(())
}

/// A database of its own for each order file.
fn default_db(folder: &Path, orders: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| folder.join("target"), PathBuf::from);
    let target = target.join("storefront");
    std::fs::create_dir_all(&target).map_err(|error| format!("cannot make {}: {error}", target.display()))?;
    let name = orders.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.trim_end_matches(".gz").trim_end_matches(".csv");
    Ok(target.join(format!("{name}.db")))
}
