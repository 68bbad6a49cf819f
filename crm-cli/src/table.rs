//! Customers in a CSV file, batch by batch.

use std::fs::File;
use std::path::{Path, PathBuf};

use crm_plugins::{Batch, Column, Entry};
use csv::{Reader, StringRecord};

use crate::error::Error;

/// How many rows are scored at once.
const ROWS: usize = 1_024;

/// A file with a header, of which some columns are features.
pub(crate) struct Table {
    path: PathBuf,
    reader: Reader<File>,
    /// For each feature, its name and its place in a row.
    features: Vec<(String, usize)>,
    /// The places of the other columns.
    others: Vec<usize>,
    header: StringRecord,
}

/// Some rows: what is no feature, as it stands there, and what is.
pub(crate) struct Rows {
    /// The line of each.
    pub(crate) lines: Vec<u64>,
    /// For each row the cells of the other columns.
    pub(crate) others: Vec<Vec<String>>,
    pub(crate) batch: Batch,
}

impl Rows {
    /// One of them alone; none if there is no such row.
    pub(crate) fn alone(&self, row: usize) -> Option<Batch> {
        let columns = self.batch.columns().iter().map(|column| Column::floats([column.float(row)]));
        let batch = Batch::new(1, self.batch.context().to_vec(), columns.collect::<Result<_, _>>().ok()?);
        batch.ok().filter(|_| row < self.lines.len())
    }
}

impl Table {
    /// Opens a file that has to have a column for each of `features`.
    pub(crate) fn open(path: &Path, features: &[String]) -> Result<Table, Error> {
        let file = File::open(path).map_err(|source| Error::Read { path: path.into(), source })?;
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
        let header = reader.headers().map_err(|error| unreadable(path, 1, &error))?.clone();
        for (place, name) in header.iter().enumerate() {
            if header.iter().take(place).any(|before| before == name) {
                return Err(Error::ColumnTwice { path: path.into(), name: name.to_owned() });
            }
        }
        let place = |feature: &String| match header.iter().position(|name| name == feature) {
            Some(place) => Ok((feature.clone(), place)),
            None => Err(Error::NoColumn {
                path: path.into(),
                name: feature.clone(),
                whose: "the plugin asks for",
                found: header.iter().collect::<Vec<_>>().join(", "),
            }),
        };
        let features: Vec<(String, usize)> = features.iter().map(place).collect::<Result<_, _>>()?;
        let others = (0..header.len()).filter(|place| features.iter().all(|(_, feature)| feature != place)).collect();
        Ok(Table { path: path.into(), reader, features, others, header })
    }

    /// The names of the columns that are no features.
    pub(crate) fn others(&self) -> Vec<String> {
        self.others.iter().filter_map(|place| self.header.get(*place)).map(str::to_owned).collect()
    }

    /// How many bytes of the file were read.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.reader.position().byte()
    }

    /// The next rows; none at the end.
    pub(crate) fn next(&mut self, context: &[Entry]) -> Result<Option<Rows>, Error> {
        let mut record = StringRecord::new();
        let mut cells: Vec<Vec<Option<f64>>> = vec![Vec::new(); self.features.len()];
        let (mut others, mut lines) = (Vec::new(), Vec::new());
        while others.len() < ROWS {
            let line = self.reader.position().line();
            match self.reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Err(unreadable(&self.path, line, &error)),
            }
            let line = record.position().map_or(line, csv::Position::line);
            lines.push(line);
            for ((feature, place), cells) in self.features.iter().zip(&mut cells) {
                cells.push(number(record.get(*place).unwrap_or_default()).map_err(|cell| Error::Cell {
                    path: self.path.clone(),
                    line,
                    column: place + 1,
                    feature: feature.clone(),
                    cell: cell.to_owned(),
                })?);
            }
            others.push(self.others.iter().map(|place| record.get(*place).unwrap_or_default().to_owned()).collect());
        }
        if others.is_empty() {
            return Ok(None);
        }
        let columns = cells.into_iter().map(Column::floats).collect::<Result<Vec<_>, _>>();
        let batch = columns.and_then(|columns| Batch::new(others.len(), context.to_vec(), columns));
        // All numbers are finite and all columns are as long, so there is nothing left to refuse.
        let batch = batch.map_err(|error| Error::Row {
            path: self.path.clone(),
            line: lines.first().copied().unwrap_or_default(),
            reason: error.to_string(),
        })?;
        Ok(Some(Rows { lines, others, batch }))
    }
}

/// A cell as a number; none if it is empty. As an error, what stands there and is none.
fn number(cell: &str) -> Result<Option<f64>, &str> {
    if cell.is_empty() {
        return Ok(None);
    }
    let number = cell.parse().ok().filter(|number: &f64| number.is_finite());
    number.map(Some).ok_or(cell)
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the others say it themselves")]
pub(crate) fn unreadable(path: &Path, line: u64, error: &csv::Error) -> Error {
    let line = error.position().map_or(line, csv::Position::line);
    let reason = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} cells, and the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "this is no UTF-8".to_owned(),
        _ => error.to_string(),
    };
    Error::Row { path: path.into(), line, reason }
}
