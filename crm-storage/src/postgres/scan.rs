//! Customers without their states, page by page.

use std::collections::HashMap;

use crm_core::{Column, CustomerId};
use tokio_postgres::Row;

use super::column::Columns;
use super::fault::Fault;
use super::gather::Place;
use super::keyed::find;
use super::read::{keys, score, selecting};
use super::session::Session;
use super::shape::Shape;
use super::wire::{call, list, one};
use crate::row::{Scanned, ScannedRow, ScoreRow, ScoresAsked};
use crate::selection::Selection;

/// A page of a scan: one statement for the customers, and one round trip for what comes along.
pub(super) async fn scan(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    after: Option<CustomerId>,
    limit: usize,
    scores: Option<&ScoresAsked>,
) -> Result<Scanned, Fault> {
    let everybody = Selection::EVERYBODY;
    let page = selecting(shape, place, &scanned_columns(), &everybody, Some((after, limit)));
    let page = session.read_planned(page).await?;
    let mut rows = page.iter().map(scanned).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<CustomerId> = rows.iter().map(|row| row.customer).collect();
    // What is read after the versions is no older than they are.
    let mut calls = vec![call!(shape.texts.revision, one(place.of_tenant()), one(place.number))];
    if let Some(ScoresAsked { plugin, outputs, at }) = scores {
        for mut call in find(&shape.texts.asked_scores, shape.dialect, place.number, keys(place, &ids)) {
            let outputs = outputs.iter().map(|output| output.as_bytes()).collect();
            call.values.extend([one(plugin.as_bytes()), list(outputs), one(at.as_millis())]);
            calls.push(call);
        }
    }
    let mut answers = session.read(calls).await?.into_iter();
    let revision = answers.next().unwrap_or_default();
    let definitions = revision.first().map(|row| Columns::of(row).count()).transpose()?.unwrap_or(0);
    let Some(asked) = scores else { return Ok(Scanned { rows, definitions }) };
    let mut found: HashMap<CustomerId, Vec<ScoreRow>> = HashMap::new();
    for row in answers.flatten() {
        let mut columns = Columns::of(&row);
        found.entry(columns.customer()?).or_default().push(score(&mut columns)?);
    }
    for row in &mut rows {
        row.scores = asked.of(found.get(&row.customer).map_or(&[], Vec::as_slice));
    }
    Ok(Scanned { rows, definitions })
}

/// What is read of each customer `c`: not the state.
pub(super) fn scanned_columns() -> String {
    let columns = Column::ALL.map(|column| format!("c.{}", column.name())).join(", ");
    format!("c.id, c.version, c.shape, c.sets, {columns}")
}

fn scanned(row: &Row) -> Result<ScannedRow, Fault> {
    let mut columns = Columns::of(row);
    let (customer, version) = (columns.customer()?, columns.version()?);
    let (shape, traits) = (columns.shape()?, columns.traits()?);
    Ok(ScannedRow { customer, version, shape, traits, scores: Vec::new() })
}
