//! The three forms in which columns travel to Extism and scores back.

use std::error::Error;

use bench_models::Columns;

/// How columns become bytes.
#[derive(Clone, Copy)]
pub(crate) enum Format {
    /// A JSON object for each row.
    Rows,
    /// A JSON array for each column.
    Columns,
    /// Eight bytes for each number, column after column.
    Bytes,
}

/// What the columns are called.
pub(crate) const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

impl Format {
    pub(crate) const ALL: [Format; 3] = [Format::Rows, Format::Columns, Format::Bytes];

    /// What the output calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Rows => "Extism, JSON rows",
            Format::Columns => "Extism, JSON columns",
            Format::Bytes => "Extism, packed bytes",
        }
    }

    /// What the output calls it where the host's own part is left out.
    pub(crate) fn ready_name(self) -> &'static str {
        match self {
            Format::Rows => "  ready input, rows",
            Format::Columns => "  ready input, columns",
            Format::Bytes => "  ready input, bytes",
        }
    }

    /// The function of the guest that computes `model` from it.
    pub(crate) fn function(self, model: &str) -> String {
        let suffix = match self {
            Format::Rows => "rows",
            Format::Columns => "columns",
            Format::Bytes => "bytes",
        };
        format!("{model}_{suffix}")
    }

    /// Columns as bytes.
    pub(crate) fn write(self, columns: &Columns<'_>) -> Vec<u8> {
        match self {
            Format::Rows => {
                let rows = columns[0].len();
                let mut json = Vec::with_capacity(rows * 128);
                json.push(b'[');
                for row in 0..rows {
                    json.extend(if row == 0 { "{" } else { ",{" }.bytes());
                    for (place, (name, column)) in NAMES.iter().zip(columns).enumerate() {
                        json.extend(if place == 0 { "\"" } else { ",\"" }.bytes());
                        json.extend(name.bytes());
                        json.extend(b"\":");
                        write_number(&mut json, column[row]);
                    }
                    json.push(b'}');
                }
                json.push(b']');
                json
            }
            Format::Columns => {
                let mut json = vec![b'{'];
                for (place, (name, column)) in NAMES.iter().zip(columns).enumerate() {
                    json.extend(if place == 0 { "\"" } else { ",\"" }.bytes());
                    json.extend(name.bytes());
                    json.extend(b"\":[");
                    for (row, number) in column.iter().enumerate() {
                        if row > 0 {
                            json.push(b',');
                        }
                        write_number(&mut json, *number);
                    }
                    json.push(b']');
                }
                json.push(b'}');
                json
            }
            Format::Bytes => {
                columns.iter().flat_map(|column| column.iter().flat_map(|number| number.to_le_bytes())).collect()
            }
        }
    }

    /// The scores in an answer.
    pub(crate) fn read(self, answer: &[u8]) -> Result<Vec<f64>, Box<dyn Error>> {
        match self {
            Format::Rows | Format::Columns => Ok(serde_json::from_slice(answer)?),
            Format::Bytes => Ok(answer.as_chunks().0.iter().map(|eight| f64::from_le_bytes(*eight)).collect()),
        }
    }
}

fn write_number(json: &mut Vec<u8>, number: f64) {
    // Into memory, which does not fail; serde_json writes the shortest digits that read back as the number.
    let _ = serde_json::to_writer(json, &number);
}
