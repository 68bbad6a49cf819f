//! `crm`: the tool of plugin authors.
//!
//! ```sh
//! crm plugin new lapse            # a project that builds and passes its tests
//! crm plugin build                # the WASM file, its size and digest
//! crm plugin check lapse.wasm     # would a shop's host take it, and if not, why
//! crm plugin score lapse.wasm customers.csv
//! crm plugin bench lapse.wasm
//! crm plugin backtest lapse.wasm orders.csv --from 2025-01-01 --to 2025-06-30 --days 90
//! ```
//!
//! Answers go to the standard output, as text or with `--json` as one JSON document; progress and errors
//! go to the error stream, progress only if that is a terminal. The exit code is 0 if all is well, 1 if
//! the plugin was refused or failed, and 2 if the arguments or the files given with them are wrong.
//! `docs/plugin-tool.md` has the fields of the JSON documents and the kinds of errors.

mod advice;
mod answer;
mod backtest;
mod bench;
mod build;
mod check;
mod embed;
mod error;
mod log;
mod manifest;
mod new;
mod params;
mod sample;
mod score;
mod table;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use crm_plugins::Limits;

use crate::answer::Answer;
use crate::error::Error;

#[derive(Parser)]
#[command(name = "crm", version, about = "Write, check and measure plugins of the embeddable CRM")]
struct Cli {
    /// Answers as one JSON document.
    #[arg(long, global = true)]
    json: bool,
    /// Shows what the plugin logs, its panics among it, on the error stream.
    #[arg(long, global = true)]
    log: bool,
    /// Goes by the limits of a host that trusts interpreters: a file of 24 MiB, functions of 512 KiB, more work
    /// for the compiler, memory of 128 MiB.
    #[arg(long, global = true)]
    interpreter: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Scorers and workflows in WASM.
    #[command(subcommand)]
    Plugin(PluginCommand),
}

#[derive(Subcommand)]
enum PluginCommand {
    /// Writes a project that builds and passes its tests.
    New(NewArgs),
    /// Builds a project, or puts the manifest of a `plugin.toml` into a file that another language's tools made.
    Build(BuildArgs),
    /// Says whether a host would take a plugin, and if not, why and what to do.
    Check(CheckArgs),
    /// Scores the customers of a CSV file.
    Score(ScoreArgs),
    /// Measures a plugin beside native code that does nothing.
    Bench(BenchArgs),
    /// Says what a plugin would have said about past orders, and how good that would have been.
    Backtest(BacktestArgs),
}

#[derive(Args)]
struct NewArgs {
    /// Its name, and the name of its folder: a-z, 0-9, `_` and `-` after a letter.
    name: String,
    /// A workflow, which answers events, and no scorer.
    #[arg(long)]
    workflow: bool,
    /// Where the SDK is, instead of its published version.
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

#[derive(Args)]
struct BuildArgs {
    /// The project's folder, or a WASM file of another language.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The manifest to put into the file; `plugin.toml` beside it, unless told otherwise.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Where to write the file; NAME.wasm in the current folder, by the manifest's name.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Args)]
struct CheckArgs {
    /// The plugin.
    file: PathBuf,
    #[command(flatten)]
    params: ParamArgs,
}

#[derive(Args)]
struct ScoreArgs {
    /// The plugin.
    file: PathBuf,
    /// Customers as rows, with a header that names the features. An empty cell is missing. Columns that
    /// are no feature of the plugin, such as a customer number, stand before the scores.
    data: PathBuf,
    /// Where to write the scores as CSV; the standard output, unless told otherwise.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The time as of which is scored, as the plugin sees it: 2026-01-31 or 2026-01-31T12:00:00Z; now, unless told
    /// otherwise. The seed that the plugin sees follows from it.
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// The currency that amounts are in, as the plugin sees it.
    #[arg(long, value_name = "CODE", default_value = "EUR")]
    currency: String,
    #[command(flatten)]
    params: ParamArgs,
}

#[derive(Args)]
struct BenchArgs {
    /// The plugin.
    file: PathBuf,
    /// Customers in a batch.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    rows: u32,
    /// Batches, or events for a workflow, of which the median counts.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(3..=100_000))]
    rounds: u32,
    #[command(flatten)]
    params: ParamArgs,
}

#[derive(Args)]
struct BacktestArgs {
    /// The plugin.
    file: PathBuf,
    /// Orders as rows, with a header that names customer, time and total.
    orders: PathBuf,
    /// The first instant at which customers are scored, or events are handled: 2026-01-31.
    #[arg(long, value_name = "TIME")]
    from: String,
    /// The last one.
    #[arg(long, value_name = "TIME")]
    to: String,
    /// Scores are held against whether customers buy within so many days.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// Held against whether customers stay away for those days: what scores of churn are about.
    #[arg(long)]
    stays_away: bool,
    /// Days from one instant to the next.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    every: u32,
    /// The currency of the totals, by ISO 4217.
    #[arg(long, value_name = "CODE", default_value = "EUR")]
    currency: String,
    #[command(flatten)]
    params: ParamArgs,
}

#[derive(Args)]
struct ParamArgs {
    /// A parameter of the plugin; may be given again for another.
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(other) => return answer_or_complain(other),
    };
    if cli.log {
        log::show();
    }
    let limits = if cli.interpreter { for_interpreters() } else { Limits::default() };
    let Command::Plugin(command) = &cli.command;
    let answer = match command {
        PluginCommand::New(args) => new::run(args),
        PluginCommand::Build(args) => build::run(args),
        PluginCommand::Check(args) => check::run(args, &limits),
        PluginCommand::Score(args) => score::run(args, &limits, cli.json),
        PluginCommand::Bench(args) => bench::run(args, &limits),
        PluginCommand::Backtest(args) => backtest::run(args, &limits),
    };
    match answer {
        Ok(answer) => print(&answer, cli.json),
        Err(error) => complain(&error, cli.json),
    }
}

/// What JavaScript and Python need that were made one file with their interpreters. `docs/plugin-limits.md` has them.
fn for_interpreters() -> Limits {
    let mut limits = Limits::default();
    limits.load.file_bytes = 24 << 20;
    limits.load.function_bytes = 512 << 10;
    limits.load.function_work = 40_000_000;
    limits.load.work = 100_000_000;
    limits.memory_bytes = 128 << 20;
    limits
}

/// What is said instead of running a command: help and the version, or what is wrong with the arguments.
fn answer_or_complain(other: clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|argument| argument == "--json");
    if other.use_stderr() && json {
        return complain(&Error::Usage { reason: other.to_string().trim_end().to_owned() }, json);
    }
    // There is nowhere else to say it.
    drop(other.print());
    if other.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

fn print(answer: &Answer, json: bool) -> ExitCode {
    let text = if json { format!("{}\n", answer.json) } else { answer.text.clone() };
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads may have read enough, as `head` does.
        Ok(()) | Err(_) if answer.is_well => ExitCode::SUCCESS,
        Ok(()) | Err(_) => ExitCode::FAILURE,
    }
}

fn complain(error: &Error, json: bool) -> ExitCode {
    let text = if json { format!("{}\n", error.json()) } else { format!("error: {}\n", error.text()) };
    // With `--json` the standard output is for a machine, which wants the error there as well.
    let written =
        if json { std::io::stdout().write_all(text.as_bytes()) } else { std::io::stderr().write_all(text.as_bytes()) };
    // There is nowhere else to say it.
    drop(written);
    ExitCode::from(error.exit_code())
}
