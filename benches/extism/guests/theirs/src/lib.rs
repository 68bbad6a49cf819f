//! The same models and the same workflow as a plugin of Extism: rows and columns as JSON, and columns as bytes.

use bench_models::{Columns, FEATURES, Linear, Logistic, Model, Trees};
use extism_pdk::{FnResult, plugin_fn};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Row {
    a: f64,
    b: f64,
    c: f64,
    d: f64,
    e: f64,
    f: f64,
}

#[derive(Deserialize)]
struct Table {
    a: Vec<f64>,
    b: Vec<f64>,
    c: Vec<f64>,
    d: Vec<f64>,
    e: Vec<f64>,
    f: Vec<f64>,
}

impl Table {
    fn columns(&self) -> Columns<'_> {
        [&self.a, &self.b, &self.c, &self.d, &self.e, &self.f]
    }
}

fn from_rows(model: &impl Model, json: &[u8]) -> FnResult<Vec<u8>> {
    let rows: Vec<Row> = serde_json::from_slice(json)?;
    let column = |of: fn(&Row) -> f64| rows.iter().map(of).collect::<Vec<_>>();
    let table = Table {
        a: column(|row| row.a),
        b: column(|row| row.b),
        c: column(|row| row.c),
        d: column(|row| row.d),
        e: column(|row| row.e),
        f: column(|row| row.f),
    };
    Ok(serde_json::to_vec(&model.score(&table.columns()))?)
}

fn from_columns(model: &impl Model, json: &[u8]) -> FnResult<Vec<u8>> {
    let table: Table = serde_json::from_slice(json)?;
    Ok(serde_json::to_vec(&model.score(&table.columns()))?)
}

/// Column after column, eight bytes a number, the least byte first.
fn from_bytes(model: &impl Model, bytes: &[u8]) -> Vec<u8> {
    let numbers: Vec<f64> = bytes.as_chunks().0.iter().map(|eight| f64::from_le_bytes(*eight)).collect();
    let rows = numbers.len() / FEATURES;
    let columns = std::array::from_fn(|column| &numbers[column * rows..(column + 1) * rows]);
    model.score(&columns).iter().flat_map(|score| score.to_le_bytes()).collect()
}

macro_rules! model {
    ($model:expr, $rows:ident, $columns:ident, $bytes:ident) => {
        #[plugin_fn]
        pub fn $rows(json: Vec<u8>) -> FnResult<Vec<u8>> {
            from_rows(&$model, &json)
        }

        #[plugin_fn]
        pub fn $columns(json: Vec<u8>) -> FnResult<Vec<u8>> {
            from_columns(&$model, &json)
        }

        #[plugin_fn]
        pub fn $bytes(bytes: Vec<u8>) -> FnResult<Vec<u8>> {
            Ok(from_bytes(&$model, &bytes))
        }
    };
}

model!(Linear, linear_rows, linear_columns, linear_bytes);
model!(Logistic, logistic_rows, logistic_columns, logistic_bytes);

thread_local! {
    /// Grown once, as in our guest.
    static TREES: Trees = Trees::new();
}

#[plugin_fn]
pub fn trees_rows(json: Vec<u8>) -> FnResult<Vec<u8>> {
    TREES.with(|trees| from_rows(trees, &json))
}

#[plugin_fn]
pub fn trees_columns(json: Vec<u8>) -> FnResult<Vec<u8>> {
    TREES.with(|trees| from_columns(trees, &json))
}

#[plugin_fn]
pub fn trees_bytes(bytes: Vec<u8>) -> FnResult<Vec<u8>> {
    TREES.with(|trees| Ok(from_bytes(trees, &bytes)))
}

#[plugin_fn]
pub fn empty() -> FnResult<()> {
    Ok(())
}

#[derive(Deserialize)]
struct Call {
    from: String,
    to: String,
    days: i64,
    share: f64,
    orders: i64,
    spend: i64,
    points: i64,
    recency_days: i64,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Action {
    AddTag { tag: &'static str },
    Notify { topic: &'static str, worth: i64, days: i64 },
}

#[plugin_fn]
pub fn handle(json: Vec<u8>) -> FnResult<Vec<u8>> {
    let call: Call = serde_json::from_slice(&json)?;
    let worth = call.spend + call.points * 2 + call.orders * 100 - call.recency_days;
    let mut actions = Vec::new();
    if call.to == "historical" && call.from == "purchase" {
        let days = call.days + i64::from(call.share > 0.5);
        actions.push(Action::AddTag { tag: "win-back" });
        actions.push(Action::Notify { topic: "offer", worth, days });
    }
    Ok(serde_json::to_vec(&actions)?)
}
