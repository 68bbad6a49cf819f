//! Scores the customers of a file.

use std::fs::File;
use std::io::{IsTerminal as _, Write};

use crm::{Clock as _, SystemClock, Timestamp};
use crm_plugins::{Cells, Column, Entry, Fault, Host, Limits, Manifest, Scorer};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value as Json, json};

use crate::answer::Answer;
use crate::error::Error;
use crate::table::{Rows, Table};
use crate::{ScoreArgs, backtest, sample};

pub(crate) fn run(args: &ScoreArgs, limits: &Limits, json: bool) -> Result<Answer, Error> {
    let path = &args.file;
    let wasm = std::fs::read(path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let plugin = Host::new(limits.clone())?.load(&wasm);
    let plugin = plugin.map_err(|source| Error::Refused { path: path.clone(), source })?;
    if !plugin.is_scorer() {
        return Err(Error::NoScorer { path: path.clone() });
    }
    let manifest = plugin.manifest();
    let params = args.params.read(manifest)?;
    let context = context(args, manifest)?;
    let mut table = Table::open(&args.data, &manifest.features)?;
    let in_configure = |fault| Error::Fault { place: " while it was configured".into(), fault };
    let mut scorer = plugin.scorer(&params).map_err(in_configure)?;

    let outputs: Vec<String> = manifest.outputs.iter().map(|output| output.name.clone()).collect();
    let names: Vec<String> = table.others().into_iter().chain(outputs.iter().cloned()).collect();
    let mut sink = Sink::open(args, json)?;
    sink.header(&names)?;
    let progress = progress(&args.data);
    let mut rows_in_all = 0;
    while let Some(rows) = table.next(&context)? {
        let count = rows.others.len();
        let columns = scorer.score(&rows.batch).map_err(|fault| Error::Fault {
            place: format!(", {} of {}", lines(&rows, &fault, &mut scorer), args.data.display()),
            fault,
        })?;
        sink.rows(&rows, &columns)?;
        rows_in_all += count;
        progress.set_position(table.bytes_read());
    }
    progress.finish_and_clear();
    sink.finish(&names, rows_in_all)
}

/// Where a fault is: in the row that it names, or in the first that faults when it is scored alone, or else in any.
#[allow(clippy::wildcard_enum_match_arm, reason = "the others name no row")]
fn lines(rows: &Rows, fault: &Fault, scorer: &mut Scorer) -> String {
    let row = match fault {
        Fault::OutOfRange { row, .. } | Fault::Malformed { row, .. } => Some(*row),
        _ => (0..rows.lines.len()).find(|row| rows.alone(*row).is_some_and(|batch| scorer.score(&batch).is_err())),
    };
    let line = row.and_then(|row| rows.lines.get(row));
    match (line, rows.lines.first(), rows.lines.last()) {
        (Some(line), ..) => format!("line {line}"),
        (None, Some(first), Some(last)) => format!("lines {first} to {last}"),
        (None, ..) => "no line".to_owned(),
    }
}

/// What a shop would tell the plugin about all rows.
fn context(args: &ScoreArgs, manifest: &Manifest) -> Result<Vec<Entry>, Error> {
    let as_of = match &args.as_of {
        Some(text) => Timestamp::parse(text).map_err(|_| Error::Time { text: text.clone() })?,
        None => SystemClock.now(),
    };
    Ok(sample::context(manifest, as_of, backtest::currency(&args.currency)?))
}

/// A bar over the bytes of the file; hidden unless somebody looks.
fn progress(data: &std::path::Path) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bytes = std::fs::metadata(data).map_or(0, |data| data.len());
    let bar = ProgressBar::new(bytes);
    match ProgressStyle::with_template("{bar:40} {percent}%  {bytes_per_sec}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Where the scores go.
enum Sink {
    /// As CSV, into a file or to the standard output.
    Csv { writer: Box<csv::Writer<Box<dyn Write>>>, path: std::path::PathBuf },
    /// Into the answer.
    Json(Vec<Json>),
}

impl Sink {
    fn open(args: &ScoreArgs, json: bool) -> Result<Sink, Error> {
        let (writer, path): (Box<dyn Write>, _) = match &args.output {
            Some(path) => {
                let file = File::create(path).map_err(|source| Error::Write { path: path.clone(), source })?;
                (Box::new(file), path.clone())
            }
            None if json => return Ok(Sink::Json(Vec::new())),
            None => (Box::new(std::io::stdout()), "-".into()),
        };
        Ok(Sink::Csv { writer: Box::new(csv::Writer::from_writer(writer)), path })
    }

    fn header(&mut self, names: &[String]) -> Result<(), Error> {
        match self {
            Sink::Csv { writer, path } => writer.write_record(names).map_err(|error| unwritten(path, error)),
            Sink::Json(_) => Ok(()),
        }
    }

    fn rows(&mut self, rows: &Rows, columns: &[Column]) -> Result<(), Error> {
        for (row, others) in rows.others.iter().enumerate() {
            let scores = columns.iter().map(|column| cell(column, row));
            match self {
                Sink::Csv { writer, path } => {
                    let scores = scores.map(|score| match score.as_str() {
                        Some(word) => word.to_owned(),
                        None if score.is_null() => String::new(),
                        None => score.to_string(),
                    });
                    writer
                        .write_record(others.iter().cloned().chain(scores))
                        .map_err(|error| unwritten(path, error))?;
                }
                Sink::Json(list) => {
                    list.push(others.iter().map(|other| Json::from(other.as_str())).chain(scores).collect());
                }
            }
        }
        Ok(())
    }

    fn finish(self, names: &[String], rows: usize) -> Result<Answer, Error> {
        match self {
            Sink::Csv { mut writer, path } => {
                writer.flush().map_err(|source| Error::Write { path: path.clone(), source })?;
                let is_file = path.as_os_str() != "-";
                let text = if is_file { format!("{rows} rows into {}\n", path.display()) } else { String::new() };
                Ok(Answer::well(text, json!({ "columns": names, "count": rows, "rows": null, "file": path })))
            }
            Sink::Json(list) => {
                Ok(Answer::well(String::new(), json!({ "columns": names, "count": rows, "rows": list, "file": null })))
            }
        }
    }
}

fn cell(column: &Column, row: usize) -> Json {
    if column.is_null(row) {
        return Json::Null;
    }
    match column.cells() {
        Cells::Floats(cells) => cells.get(row).copied().into(),
        Cells::Ints(cells) => cells.get(row).copied().into(),
        Cells::Booleans(cells) => cells.get(row).copied().into(),
        Cells::Words { codes, words } => {
            codes.get(row).and_then(|code| words.get(*code as usize)).map(String::as_str).into()
        }
    }
}

fn unwritten(path: &std::path::Path, error: csv::Error) -> Error {
    // What is written is text in rows of one length, so all that can fail is the file.
    Error::Write { path: path.into(), source: error.into() }
}
