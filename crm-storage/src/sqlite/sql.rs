//! Every statement that the store runs on its rows. Each finds them by the beginning of a key; a test
//! asks SQLite for its plans.

use std::sync::LazyLock;

use crm_core::Column;

pub(super) const TENANT: &str = "SELECT id FROM crm_tenant WHERE name = ?1";
pub(super) const ADD_TENANT: &str = "INSERT INTO crm_tenant (name) VALUES (?1)";

pub(super) const DEFINITIONS: &str = "SELECT definitions FROM crm_tenant WHERE id = ?1";
pub(super) const SET_DEFINITIONS: &str = "UPDATE crm_tenant SET definitions = ?2 WHERE id = ?1";
pub(super) const DEFINITION_ROWS: &str = "SELECT body FROM crm_definition WHERE tenant = ?1 ORDER BY revision";
pub(super) const ADD_DEFINITION: &str = "INSERT INTO crm_definition (tenant, revision, body) VALUES (?1, ?2, ?3)";

pub(super) const REQUEST: &str =
    "SELECT digest, answer FROM crm_request WHERE tenant = ?1 AND customer = ?2 AND key = ?3";
pub(super) const REQUESTS: &str =
    "SELECT key, digest, answer FROM crm_request WHERE tenant = ?1 AND customer = ?2 ORDER BY key";
pub(super) const ADD_REQUEST: &str =
    "INSERT INTO crm_request (tenant, customer, key, digest, answer) VALUES (?1, ?2, ?3, ?4, ?5)";

pub(super) const VERSION: &str = "SELECT version FROM crm_customer WHERE tenant = ?1 AND id = ?2";
pub(super) const SET_VERSION: &str = "UPDATE crm_customer SET version = ?3 WHERE tenant = ?1 AND id = ?2";
pub(super) const CUSTOMER: &str = "SELECT version, shape, state, sets FROM crm_customer WHERE tenant = ?1 AND id = ?2";
/// One customer by the tenant's name, with the revision of its definitions: all that a load of one wants, in one
/// statement, which sees one moment without a transaction around it.
pub(super) const ONE_CUSTOMER: &str = "SELECT t.definitions, c.version, c.shape, c.state, c.sets FROM crm_tenant t \
     LEFT JOIN crm_customer c ON c.tenant = t.id AND c.id = ?2 WHERE t.name = ?1";
/// The parameters are tenant, id, version, shape, state and sets, and then the columns in their order.
pub(super) static ADD_CUSTOMER: LazyLock<String> = LazyLock::new(|| {
    let (names, places) = (column_names(), column_places(|n| format!("?{n}")));
    format!(
        "INSERT INTO crm_customer (tenant, id, version, shape, state, sets, {names}) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, {places})"
    )
});
/// The parameters are those of [`ADD_CUSTOMER`].
pub(super) static SET_CUSTOMER: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<String> =
        Column::ALL.iter().zip(7..).map(|(column, n)| format!("{} = ?{n}", column.name())).collect();
    format!(
        "UPDATE crm_customer SET version = ?3, shape = ?4, state = ?5, sets = ?6, {} WHERE tenant = ?1 AND id = ?2",
        columns.join(", ")
    )
});
/// Whoever something was told of after a position is in a set from now on. Sets are kept one after the other, in any
/// order.
pub(super) const ENROL: &str = "UPDATE crm_customer \
     SET version = version + 1, sets = ifnull(sets, char(31)) || ?2 || char(31) \
     WHERE tenant = ?1 AND id IN (SELECT customer FROM crm_entry WHERE position > ?3)";
/// The greatest customer of whom something was told after a position.
pub(super) const LAST_TOLD: &str = "SELECT max(customer) FROM crm_entry WHERE position > ?1";
pub(super) static TRAITS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT sets, {} FROM crm_customer WHERE tenant = ?1 AND id = ?2", column_names()));

/// Customers by their key, without their states.
pub(super) static SCAN: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT id, version, sets, {}, shape FROM crm_customer WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        column_names()
    )
});

pub(super) const ADD_EVENT: &str = "INSERT INTO crm_entry \
     (tenant, customer, id, at, recorded_at, kind, shape, source, cause, body) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (tenant, customer, id) DO NOTHING";
pub(super) const DROP_LAST_ENTRIES: &str = "DELETE FROM crm_entry WHERE position > ?1";
pub(super) const ADD_CHANGE: &str =
    "INSERT INTO crm_entry (tenant, customer, at, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)";
/// Positions by the customer's index, as many as are asked for. The plus keeps it on that index.
macro_rules! positions {
    ($which:literal) => {
        concat!(
            "SELECT position FROM crm_entry WHERE tenant = ?1 AND customer = ?2",
            $which,
            " AND +position > ?3 ORDER BY position LIMIT ?4"
        )
    };
}
/// The inner query reads the index alone and takes only as many positions as are asked for, so bodies
/// are read for the page and no more.
macro_rules! history {
    ($which:literal) => {
        concat!(
            "SELECT position, id, at, kind, body, recorded_at, shape, source, cause FROM crm_entry WHERE position IN (",
            positions!($which),
            ") ORDER BY position"
        )
    };
}
pub(super) const HISTORY: &str = history!("");
pub(super) const EVENTS: &str = history!(" AND id IS NOT NULL");
pub(super) const CHANGES: &str = history!(" AND id IS NULL");
pub(super) const HISTORY_POSITIONS: &str = positions!("");
pub(super) const EVENT_POSITIONS: &str = positions!(" AND id IS NOT NULL");
pub(super) const CHANGE_POSITIONS: &str = positions!(" AND id IS NULL");
pub(super) const ENTRY: &str = "SELECT id, at, kind, body, recorded_at, shape, source, cause FROM crm_entry \
     WHERE tenant = ?1 AND customer = ?2 AND position = ?3";
pub(super) const FEED: &str = "SELECT position, crm_entry.id, at, kind, body, recorded_at, shape, source, cause, \
     name, customer FROM crm_entry JOIN crm_tenant ON crm_tenant.id = tenant WHERE position > ?1 ORDER BY position LIMIT ?2";
pub(super) const FEED_END: &str = "SELECT max(position) FROM crm_entry";

pub(super) const SCORES: &str = "SELECT plugin, output, at, value, version, digest, input, inputs, recorded_at, terms FROM crm_score \
     WHERE tenant = ?1 AND customer = ?2 ORDER BY plugin, output, at";
/// What is read of a score beyond its instant is read where it is asked for.
pub(super) const SCORES_OF: &str = "SELECT at, value, version, digest, input, inputs, recorded_at, terms FROM crm_score \
     WHERE tenant = ?1 AND customer = ?2 AND plugin = ?3 AND output = ?4 ORDER BY at";
pub(super) const PUT_SCORE: &str = "INSERT OR REPLACE INTO crm_score \
     (tenant, customer, plugin, output, at, value, version, digest, input, inputs, recorded_at, terms) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
pub(super) const DROP_SCORE: &str =
    "DELETE FROM crm_score WHERE tenant = ?1 AND customer = ?2 AND plugin = ?3 AND output = ?4 AND at = ?5";

pub(super) const DUE: &str = "SELECT due_at, kind, customer FROM crm_alarm WHERE tenant = ?1 AND due_at <= ?2 \
     ORDER BY due_at, kind, customer LIMIT ?3";
pub(super) const ADD_ALARM: &str =
    "INSERT INTO crm_alarm (tenant, due_at, kind, customer) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
pub(super) const DROP_ALARM: &str =
    "DELETE FROM crm_alarm WHERE tenant = ?1 AND due_at = ?2 AND kind = ?3 AND customer = ?4";

pub(super) const OWNER: &str = "SELECT customer, event FROM crm_claim WHERE tenant = ?1 AND kind = ?2 AND key = ?3";
pub(super) const ADD_CLAIM: &str = "INSERT INTO crm_claim (tenant, kind, key, customer, event) \
     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (tenant, kind, key) DO NOTHING";
pub(super) const DROP_CLAIM: &str = "DELETE FROM crm_claim WHERE tenant = ?1 AND kind = ?2 AND key = ?3";
pub(super) const DROP_CLAIM_OF: &str =
    "DELETE FROM crm_claim WHERE tenant = ?1 AND kind = ?2 AND key = ?3 AND customer = ?4";

pub(super) const COUNTER: &str = "SELECT value FROM crm_counter WHERE tenant = ?1 AND name = ?2";
pub(super) const PUT_COUNTER: &str = "INSERT OR REPLACE INTO crm_counter (tenant, name, value) VALUES (?1, ?2, ?3)";

pub(super) const ADD_OUTBOX: &str = "INSERT INTO crm_outbox (tenant, id, customer, topic, due_at, body) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (tenant, id) DO NOTHING";
/// The token 0 is no lease's.
pub(super) const ADD_DEAD: &str = "INSERT INTO crm_outbox \
     (tenant, id, customer, topic, due_at, attempt, token, dead, body) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8) ON CONFLICT (tenant, id) DO NOTHING";
pub(super) const LEASABLE: &str = "SELECT id, customer, topic, due_at, body, attempt FROM crm_outbox \
     WHERE tenant = ?1 AND dead IS NULL AND due_at <= ?2 AND (leased_until IS NULL OR leased_until <= ?2) \
     ORDER BY due_at, id LIMIT ?3";
pub(super) const LEASES: &str = "SELECT leases FROM crm_tenant WHERE id = ?1";
pub(super) const SET_LEASES: &str = "UPDATE crm_tenant SET leases = ?2 WHERE id = ?1";
pub(super) const LEASE: &str =
    "UPDATE crm_outbox SET attempt = ?3, token = ?4, leased_until = ?5 WHERE tenant = ?1 AND id = ?2";
pub(super) const DONE: &str = "DELETE FROM crm_outbox WHERE tenant = ?1 AND id = ?2 AND token = ?3";
pub(super) const RETRY: &str = "UPDATE crm_outbox SET due_at = ?4, token = NULL, leased_until = NULL, dead = NULL \
     WHERE tenant = ?1 AND id = ?2 AND token = ?3";
pub(super) const GIVE_BACK: &str = "UPDATE crm_outbox \
     SET attempt = max(attempt - 1, 0), token = NULL, leased_until = NULL, dead = NULL \
     WHERE tenant = ?1 AND id = ?2 AND token = ?3";
pub(super) const DEAD: &str = "UPDATE crm_outbox SET dead = ?4 WHERE tenant = ?1 AND id = ?2 AND token = ?3";
pub(super) const DEAD_LETTERS: &str = "SELECT id, customer, topic, due_at, body, attempt, dead, token FROM crm_outbox \
     WHERE tenant = ?1 AND dead IS NOT NULL AND (due_at, id) > (?2, ?3) ORDER BY due_at, id LIMIT ?4";
/// Reads the tenant's whole outbox, which is short unless nobody delivers.
pub(super) const OUTBOX_OF: &str = "SELECT id, customer, topic, due_at, body FROM crm_outbox \
     WHERE tenant = ?1 AND customer = ?2 ORDER BY dead IS NOT NULL, due_at, id";
/// Reads the tenant's whole outbox.
pub(super) const DROP_OUTBOX_OF: &str = "DELETE FROM crm_outbox WHERE tenant = ?1 AND customer = ?2";

pub(super) const PERSONAL: &str =
    "SELECT field, value FROM crm_personal WHERE tenant = ?1 AND customer = ?2 ORDER BY field";
pub(super) const PUT_PERSONAL: &str =
    "INSERT OR REPLACE INTO crm_personal (tenant, customer, field, value) VALUES (?1, ?2, ?3, ?4)";
pub(super) const DROP_PERSONAL: &str = "DELETE FROM crm_personal WHERE tenant = ?1 AND customer = ?2 AND field = ?3";
pub(super) const DROP_PERSON: &str = "DELETE FROM crm_personal WHERE tenant = ?1 AND customer = ?2";
pub(super) const PERSON_KEY: &str = "SELECT key FROM crm_person_key WHERE tenant = ?1 AND customer = ?2";
pub(super) const PUT_PERSON_KEY: &str =
    "INSERT OR REPLACE INTO crm_person_key (tenant, customer, key) VALUES (?1, ?2, ?3)";
pub(super) const DROP_PERSON_KEY: &str = "DELETE FROM crm_person_key WHERE tenant = ?1 AND customer = ?2";
pub(super) const TOKENS: &str = "SELECT count(*) FROM crm_token WHERE tenant = ?1 AND customer = ?2";
pub(super) const ADD_TOKEN: &str =
    "INSERT INTO crm_token (tenant, token, customer) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
pub(super) const DROP_TOKENS: &str = "DELETE FROM crm_token WHERE tenant = ?1 AND customer = ?2";

pub(super) const CONSUMER: &str = "SELECT position, epoch FROM crm_consumer WHERE name = ?1";
pub(super) const PUT_CONSUMER: &str = "INSERT OR REPLACE INTO crm_consumer (name, position, epoch) VALUES (?1, ?2, ?3)";

fn column_names() -> String {
    Column::ALL.map(Column::name).join(", ")
}

fn column_places(place: impl Fn(usize) -> String) -> String {
    (7..7 + Column::ALL.len()).map(place).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// Every statement, and those that read a whole tenant's rows of one table knowingly.
    fn all() -> Vec<&'static str> {
        let mut all = super::super::session::TEXTS.iter().map(|text| text()).collect::<Vec<_>>();
        all.extend([
            CUSTOMER,
            ONE_CUSTOMER,
            &TRAITS,
            HISTORY,
            EVENTS,
            CHANGES,
            HISTORY_POSITIONS,
            EVENT_POSITIONS,
            CHANGE_POSITIONS,
            ENTRY,
            FEED,
            SCORES,
            SCORES_OF,
            &SCAN,
            REQUESTS,
            DUE,
            DEFINITION_ROWS,
            DEAD_LETTERS,
            OUTBOX_OF,
            PERSONAL,
            PERSON_KEY,
            TOKENS,
        ]);
        all
    }
    const WHOLE_TENANT: [&str; 3] = [DEFINITION_ROWS, OUTBOX_OF, DROP_OUTBOX_OF];

    fn file() -> Connection {
        let file = Connection::open_in_memory().unwrap();
        super::super::migrations::ALL.iter().for_each(|step| file.execute_batch(step.sql).unwrap());
        file
    }

    fn plan(file: &Connection, sql: &str) -> Vec<String> {
        let mut plan = file.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nothing = rusqlite::params_from_iter(vec![None::<i64>; plan.parameter_count()]);
        let steps = plan.query_map(nothing, |row| row.get::<_, String>("detail")).unwrap();
        steps.map(Result::unwrap).collect()
    }

    #[test]
    fn no_statement_scans_a_table() {
        let file = file();
        for sql in all() {
            for step in plan(&file, sql) {
                assert!(!step.starts_with("SCAN"), "{sql}: {step}");
                let whole = step.contains("(tenant=?)") && !WHOLE_TENANT.contains(&sql);
                assert!(!whole, "{sql} reads a whole tenant: {step}");
            }
        }
    }

    #[test]
    fn lists_come_from_their_index_without_sorting() {
        let file = file();
        for sql in [DUE, LEASABLE, DEAD_LETTERS, SCORES, SCORES_OF, &SCAN, DEFINITION_ROWS, FEED, PERSONAL, REQUESTS] {
            assert!(plan(&file, sql).iter().all(|step| !step.contains("TEMP B-TREE")), "{sql}");
        }
    }

    #[test]
    fn an_entry_is_found_by_its_position() {
        assert_eq!(plan(&file(), ENTRY), ["SEARCH crm_entry USING INTEGER PRIMARY KEY (rowid=?)"]);
    }

    #[test]
    fn every_statement_names_the_tenant_or_is_about_tenants_or_the_feed() {
        let not_a_tenants = [FEED, FEED_END, DROP_LAST_ENTRIES, CONSUMER, PUT_CONSUMER, LAST_TOLD];
        for sql in all() {
            let transaction = ["BEGIN", "BEGIN IMMEDIATE", "COMMIT"].contains(&sql);
            let named = sql.contains("tenant = ?1") || sql.contains("(tenant, ") || sql.contains("crm_tenant");
            assert!(named || transaction || not_a_tenants.contains(&sql), "{sql}");
        }
    }

    #[test]
    fn every_table_carries_the_tenant_and_every_key_begins_with_it() {
        let file = file();
        let list = |sql: &str| -> Vec<String> {
            let mut statement = file.prepare(sql).unwrap();
            let names = statement.query_map([], |row| row.get(0)).unwrap();
            names.map(Result::unwrap).collect()
        };
        let tables = list("SELECT name FROM sqlite_schema WHERE type = 'table'");
        assert!(tables.len() > 10 && tables.iter().all(|name| name.starts_with("crm_")), "{tables:?}");
        for table in tables {
            // The tenants themselves, the steps of the schema, and who follows the feed, which is the store's.
            if ["crm_tenant", "crm_migration", "crm_consumer"].contains(&table.as_str()) {
                continue;
            }
            assert!(
                list(&format!("SELECT name FROM pragma_table_info('{table}')")).contains(&"tenant".into()),
                "{table}"
            );
            for index in list(&format!("SELECT name FROM pragma_index_list('{table}')")) {
                let first = list(&format!("SELECT name FROM pragma_index_info('{index}') LIMIT 1"));
                assert_eq!(first, ["tenant"], "{table}: {index}");
            }
        }
    }

    #[test]
    fn customers_have_every_column_that_the_core_declares() {
        let file = file();
        let mut columns = file.prepare("SELECT name FROM pragma_table_info('crm_customer')").unwrap();
        let columns: Vec<String> = columns.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let declared = Column::ALL.map(Column::name);
        assert!(columns.windows(declared.len()).any(|window| window == declared), "{columns:?}");
    }
}
