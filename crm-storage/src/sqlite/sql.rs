//! Every statement that the store runs on its rows. Each finds them by the beginning of a key; a test
//! asks SQLite for its plans.

pub(super) const TENANT: &str = "SELECT id FROM tenant WHERE name = ?1";
pub(super) const ADD_TENANT: &str = "INSERT INTO tenant (name) VALUES (?1)";

pub(super) const DEFINITIONS: &str = "SELECT definitions FROM tenant WHERE id = ?1";
pub(super) const SET_DEFINITIONS: &str = "UPDATE tenant SET definitions = ?2 WHERE id = ?1";
pub(super) const DEFINITION_ROWS: &str = "SELECT body FROM definition WHERE tenant = ?1 ORDER BY revision";
pub(super) const ADD_DEFINITION: &str = "INSERT INTO definition (tenant, revision, body) VALUES (?1, ?2, ?3)";

pub(super) const REQUEST: &str = "SELECT digest, answer FROM request WHERE tenant = ?1 AND customer = ?2 AND key = ?3";
pub(super) const ADD_REQUEST: &str =
    "INSERT INTO request (tenant, customer, key, digest, answer) VALUES (?1, ?2, ?3, ?4, ?5)";

pub(super) const VERSION: &str = "SELECT version FROM customer WHERE tenant = ?1 AND id = ?2";
pub(super) const CUSTOMER: &str = "SELECT version, shape, state FROM customer WHERE tenant = ?1 AND id = ?2";
pub(super) const CUSTOMERS: &str =
    "SELECT id, version, shape, state FROM customer WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
pub(super) const ADD_CUSTOMER: &str =
    "INSERT INTO customer (tenant, id, version, shape, state) VALUES (?1, ?2, ?3, ?4, ?5)";
pub(super) const SET_CUSTOMER: &str =
    "UPDATE customer SET version = ?3, shape = ?4, state = ?5 WHERE tenant = ?1 AND id = ?2";

pub(super) const ADD_EVENT: &str = "INSERT INTO entry (tenant, customer, id, at, recorded_at, kind, shape, source, cause, body) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (tenant, customer, id) DO NOTHING";
pub(super) const DROP_LAST_ENTRIES: &str = "DELETE FROM entry WHERE position > ?1";
pub(super) const ADD_CHANGE: &str = "INSERT INTO entry (tenant, customer, at, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)";
/// The inner query reads the index alone and takes only as many positions as are asked for, so bodies
/// are read for the page and no more. The plus keeps it on that index.
pub(super) const HISTORY: &str = "SELECT position, id, at, recorded_at, kind, shape, source, cause, body FROM entry WHERE position IN \
     (SELECT position FROM entry WHERE tenant = ?1 AND customer = ?2 AND id IS NOT NULL AND +position > ?3 \
     ORDER BY position LIMIT ?4) ORDER BY position";
pub(super) const CHANGES: &str = "SELECT position, at, kind, body FROM entry WHERE position IN \
     (SELECT position FROM entry WHERE tenant = ?1 AND customer = ?2 AND id IS NULL AND +position > ?3 \
     ORDER BY position LIMIT ?4) ORDER BY position";

pub(super) const SCORES: &str = "SELECT plugin, output, at, value, version, digest, input FROM score \
     WHERE tenant = ?1 AND customer = ?2 ORDER BY plugin, output, at";
pub(super) const PUT_SCORE: &str = "INSERT OR REPLACE INTO score (tenant, customer, plugin, output, at, value, version, digest, input) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

pub(super) const DUE: &str = "SELECT due_at, kind, customer FROM alarm WHERE tenant = ?1 AND due_at <= ?2 \
     ORDER BY due_at, kind, customer LIMIT ?3";
pub(super) const ADD_ALARM: &str =
    "INSERT INTO alarm (tenant, due_at, kind, customer) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
pub(super) const DROP_ALARM: &str =
    "DELETE FROM alarm WHERE tenant = ?1 AND due_at = ?2 AND kind = ?3 AND customer = ?4";

pub(super) const OWNER: &str = "SELECT customer, event FROM claim WHERE tenant = ?1 AND kind = ?2 AND key = ?3";
pub(super) const ADD_CLAIM: &str = "INSERT INTO claim (tenant, kind, key, customer, event) VALUES (?1, ?2, ?3, ?4, ?5) \
     ON CONFLICT (tenant, kind, key) DO NOTHING";
pub(super) const DROP_CLAIM: &str = "DELETE FROM claim WHERE tenant = ?1 AND kind = ?2 AND key = ?3";

pub(super) const COUNTER: &str = "SELECT value FROM counter WHERE tenant = ?1 AND name = ?2";
pub(super) const PUT_COUNTER: &str = "INSERT OR REPLACE INTO counter (tenant, name, value) VALUES (?1, ?2, ?3)";

pub(super) const ADD_OUTBOX: &str = "INSERT INTO outbox (tenant, id, customer, topic, due_at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
     ON CONFLICT (tenant, id) DO NOTHING";
pub(super) const LEASABLE: &str = "SELECT id, customer, topic, due_at, body, attempt FROM outbox \
     WHERE tenant = ?1 AND due_at <= ?2 AND (leased_until IS NULL OR leased_until <= ?2) \
     ORDER BY due_at, id LIMIT ?3";
pub(super) const LEASES: &str = "SELECT leases FROM tenant WHERE id = ?1";
pub(super) const SET_LEASES: &str = "UPDATE tenant SET leases = ?2 WHERE id = ?1";
pub(super) const LEASE: &str =
    "UPDATE outbox SET attempt = ?3, token = ?4, leased_until = ?5 WHERE tenant = ?1 AND id = ?2";
pub(super) const DONE: &str = "DELETE FROM outbox WHERE tenant = ?1 AND id = ?2 AND token = ?3";
pub(super) const RETRY: &str = "UPDATE outbox SET due_at = ?4, token = NULL, leased_until = NULL \
     WHERE tenant = ?1 AND id = ?2 AND token = ?3";

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 37] = [
        TENANT,
        ADD_TENANT,
        DEFINITIONS,
        SET_DEFINITIONS,
        DEFINITION_ROWS,
        ADD_DEFINITION,
        REQUEST,
        ADD_REQUEST,
        VERSION,
        CUSTOMER,
        CUSTOMERS,
        ADD_CUSTOMER,
        SET_CUSTOMER,
        ADD_EVENT,
        DROP_LAST_ENTRIES,
        ADD_CHANGE,
        HISTORY,
        CHANGES,
        SCORES,
        PUT_SCORE,
        DUE,
        ADD_ALARM,
        DROP_ALARM,
        OWNER,
        ADD_CLAIM,
        DROP_CLAIM,
        COUNTER,
        PUT_COUNTER,
        ADD_OUTBOX,
        LEASABLE,
        LEASES,
        SET_LEASES,
        LEASE,
        DONE,
        RETRY,
        "BEGIN",
        "COMMIT",
    ];

    #[test]
    fn no_statement_scans_a_table() {
        let file = rusqlite::Connection::open_in_memory().unwrap();
        file.execute_batch(super::super::migrations::ALL[0]).unwrap();
        for sql in ALL {
            let mut plan = file.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let nothing = rusqlite::params_from_iter(vec![None::<i64>; plan.parameter_count()]);
            let steps = plan.query_map(nothing, |row| row.get::<_, String>("detail")).unwrap();
            for step in steps.map(Result::unwrap) {
                assert!(!step.starts_with("SCAN"), "{sql}: {step}");
                assert!(!step.contains("(tenant=?)") || sql == DEFINITION_ROWS, "{sql} reads a whole tenant: {step}");
            }
        }
    }

    #[test]
    fn lists_come_from_their_index_without_sorting() {
        let file = rusqlite::Connection::open_in_memory().unwrap();
        file.execute_batch(super::super::migrations::ALL[0]).unwrap();
        for sql in [CUSTOMERS, DUE, LEASABLE, SCORES, DEFINITION_ROWS] {
            let mut plan = file.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let nothing = rusqlite::params_from_iter(vec![None::<i64>; plan.parameter_count()]);
            let steps = plan.query_map(nothing, |row| row.get::<_, String>("detail")).unwrap();
            assert!(steps.map(Result::unwrap).all(|step| !step.contains("TEMP B-TREE")), "{sql}");
        }
    }
}
