//! What is known of a schema that is open, and the texts of its statements.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::ends::Ends;
use super::options::Dialect;
use super::part::{self, Part, PartId, Places};
use super::schema::qualified;
use super::sql::Texts;

/// A schema that is open.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) schema: String,
    pub(super) dialect: Dialect,
    pub(super) lanes: u16,
    pub(super) durable: bool,
    pub(super) wall: bool,
    pub(super) prepared: bool,
    pub(super) texts: Texts,
    /// How far each lane is known to have come.
    pub(super) ends: Ends,
    parts: Vec<Part>,
    /// Texts that were put together before: by which parts they have, and how entries come by their positions.
    bulk: Mutex<HashMap<(u32, Places), Arc<str>>>,
    /// By part and number of rows.
    single: Mutex<HashMap<(PartId, usize), Arc<str>>>,
}

impl Shape {
    pub(super) fn new(schema: &str, dialect: Dialect, prepared: bool, facts: super::schema::Facts) -> Self {
        Shape {
            schema: schema.to_owned(),
            dialect,
            lanes: facts.lanes,
            durable: facts.durable,
            wall: facts.wall,
            prepared,
            texts: Texts::new(schema, dialect),
            ends: Ends::unknown(facts.lanes),
            parts: part::all(),
            bulk: Mutex::default(),
            single: Mutex::default(),
        }
    }

    pub(super) fn part(&self, id: PartId) -> &Part {
        &self.parts[id as usize]
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The statement that carries out these parts in the plain dialect.
    pub(super) fn bulk(&self, ids: &[PartId], places: Places) -> Arc<str> {
        let mask = ids.iter().fold(0, |mask, id| mask | 1 << (*id as u32));
        let mut texts = self.bulk.lock().unwrap_or_else(PoisonError::into_inner);
        let text = texts.entry((mask, places)).or_insert_with(|| {
            let parts: Vec<&Part> = ids.iter().map(|id| self.part(*id)).collect();
            qualified(&part::bulk(&parts, places), &self.schema).into()
        });
        Arc::clone(text)
    }

    /// The statement that carries out one part in the sharded dialect, for so many rows.
    pub(super) fn single(&self, id: PartId, rows: usize) -> Arc<str> {
        let mut texts = self.single.lock().unwrap_or_else(PoisonError::into_inner);
        let text = texts
            .entry((id, rows))
            .or_insert_with(|| qualified(&part::single(self.part(id), rows), &self.schema).into());
        Arc::clone(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::gather::Place;
    use super::super::read::selecting;
    use super::super::scan::scanned_columns;
    use super::super::schema::{Facts, OF_TENANT};
    use super::*;
    use crate::selection::Selection;

    /// Statements about a lane as a whole, which is of all tenants, and about no table.
    const OF_STORE: [&str; 16] = [
        "begin",
        "end",
        "roll_back",
        "savepoint",
        "release",
        "roll_back_to",
        "plan_by_values",
        "wall",
        "lock_head",
        "lock_lanes",
        "ends_of_lanes",
        "look_cursor",
        "lock_cursor",
        "end_of_lane",
        "add_cursor",
        "set_cursor",
    ];

    /// Statements of the plain dialect only.
    const PLAIN_ONLY: [&str; 4] = ["lock_lanes", "ends_of_lanes", "lease", "load_with_revision"];

    fn shape(dialect: Dialect) -> Shape {
        let facts = Facts { lanes: 16, durable: true, wall: false };
        Shape::new("crm", dialect, true, facts)
    }

    /// Every text that a store can send, by name, but for other choices of parts and other selections.
    fn texts(dialect: Dialect) -> Vec<(String, String)> {
        let shape = shape(dialect);
        let fixed = shape.texts.all().into_iter().map(|(name, text)| (name.to_owned(), text.to_string()));
        let mut texts: Vec<_> = fixed.collect();
        let ids: Vec<PartId> = shape.parts.iter().map(|part| part.id).collect();
        match dialect {
            Dialect::Plain => {
                for places in [Places::OneLane, Places::Each, Places::Found, Places::Given] {
                    let from = usize::from(!places.have_heads());
                    texts.push((format!("all parts, {places:?}"), shape.bulk(&ids[from..], places).to_string()));
                    for part in shape.parts.iter().filter(|part| part.id != PartId::Heads) {
                        let ids = &[PartId::Heads, part.id][from..];
                        texts.push((format!("{}, {places:?}", part.name), shape.bulk(ids, places).to_string()));
                    }
                }
            }
            Dialect::Sharded => {
                for part in shape.parts.iter().filter(|part| part.id != PartId::Heads) {
                    for rows in [1, 16] {
                        texts.push((format!("{} of {rows}", part.name), shape.single(part.id, rows).to_string()));
                    }
                }
                texts.retain(|(name, _)| !PLAIN_ONLY.contains(&name.as_str()));
            }
        }
        let tenant = crm_core::TenantId::default();
        let place = Place { name: &tenant, number: 1, lanes: 16 };
        let found = Selection::Found(crate::commit::Token([0; 16]));
        let score = Selection::Score {
            plugin: "p".into(),
            output: "o".into(),
            is: crm_core::expression::Comparison::Lt,
            value: 0.0,
        };
        let selection = Selection::All(vec![Selection::Not(Box::new(found)), score]);
        texts.push(("select".into(), selecting(&shape, &place, "c.id", &selection, Some((None, 1))).text.to_string()));
        let everybody = Selection::EVERYBODY;
        let scan = selecting(&shape, &place, &scanned_columns(), &everybody, Some((None, 1)));
        texts.push(("scan".into(), scan.text.to_string()));
        texts
    }

    #[test]
    fn parts_stand_at_their_places() {
        for (at, part) in part::all().iter().enumerate() {
            assert_eq!(part.id as usize, at, "{}", part.name);
        }
    }

    #[test]
    fn every_statement_names_the_tenant() {
        for dialect in [Dialect::Plain, Dialect::Sharded] {
            for (name, text) in texts(dialect) {
                assert!(text.contains("tenant") || OF_STORE.contains(&name.as_str()), "{name}: {text}");
            }
        }
    }

    #[test]
    fn every_table_is_named_with_its_schema() {
        for dialect in [Dialect::Plain, Dialect::Sharded] {
            for (name, text) in texts(dialect) {
                assert!(!text.contains('@'), "{name}: {text}");
                for table in OF_TENANT.iter().chain(&["lane_head", "consumer"]) {
                    for word in ["FROM", "JOIN", "INTO", "UPDATE"] {
                        assert!(!text.contains(&format!("{word} {table} ")), "{name}: {text}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_scan_reads_no_state() {
        for dialect in [Dialect::Plain, Dialect::Sharded] {
            let mut texts = texts(dialect);
            texts.retain(|(name, _)| ["scan", "asked_scores"].contains(&name.as_str()));
            assert_eq!(texts.len(), 2);
            assert!(texts.iter().all(|(_, text)| !text.contains("state")), "{texts:?}");
        }
    }

    #[test]
    fn no_statement_asks_the_server_for_time_or_chance() {
        for dialect in [Dialect::Plain, Dialect::Sharded] {
            for (name, text) in texts(dialect) {
                let text = text.to_lowercase();
                for volatile in ["now(", "random(", "clock_timestamp", "nextval", "gen_random", "current_timestamp"] {
                    assert!(!text.contains(volatile), "{name}: {text}");
                }
            }
        }
    }

    #[test]
    fn each_statement_of_the_sharded_dialect_that_writes_or_locks_names_one_lane() {
        for (name, text) in texts(Dialect::Sharded) {
            let changes = ["INSERT INTO ", "UPDATE ", "DELETE FROM "].iter().any(|word| text.starts_with(word));
            let locks = text.contains(" FOR UPDATE");
            if !changes && !locks {
                assert!(!text.contains("INSERT") && !text.contains("DELETE"), "{name}: {text}");
                continue;
            }
            let adds = text.starts_with("INSERT INTO ");
            let one_lane = if adds {
                text.contains("(lane, ") && text.contains("VALUES ($1, ")
            } else {
                text.contains("lane = $1")
            };
            assert!(one_lane, "{name}: {text}");
            assert!(!(text.contains("WITH ") || adds && text.contains("SELECT")), "{name}: {text}");
            assert_eq!(text.matches("lane = ").count(), usize::from(!adds), "{name}: {text}");
            // Of several rows, each names the same lane.
            let rows = text.matches(" ($").count();
            assert!(!adds || text.matches("($1, ").count() == rows, "{name}: {text}");
        }
    }
}
