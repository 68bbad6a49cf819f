-- Files of the first layout had tables without a prefix, no ledger, and neither columns nor sets. What is in
-- them moves into the tables of step 1, which were just made; states are folded anew when they are read.
INSERT INTO crm_tenant (id, name, definitions, leases) SELECT id, name, definitions, leases FROM tenant;
INSERT INTO crm_definition (tenant, revision, body) SELECT tenant, revision, body FROM definition;
INSERT INTO crm_customer (tenant, id, version, shape, state) SELECT tenant, id, version, shape, state FROM customer;
INSERT INTO crm_entry (position, tenant, customer, id, at, recorded_at, kind, shape, source, cause, body)
    SELECT position, tenant, customer, id, at, recorded_at, kind, shape, source, cause, body FROM entry ORDER BY position;
INSERT INTO crm_score (tenant, customer, plugin, output, at, value, version, digest, input)
    SELECT tenant, customer, plugin, output, at, value, version, digest, input FROM score;
INSERT INTO crm_alarm (tenant, due_at, kind, customer) SELECT tenant, due_at, kind, customer FROM alarm;
INSERT INTO crm_claim (tenant, kind, key, customer, event) SELECT tenant, kind, key, customer, event FROM claim;
INSERT INTO crm_counter (tenant, name, value) SELECT tenant, name, value FROM counter;
INSERT INTO crm_request (tenant, customer, key, digest, answer) SELECT tenant, customer, key, digest, answer FROM request;
INSERT INTO crm_outbox (tenant, id, customer, topic, due_at, attempt, token, leased_until, body)
    SELECT tenant, id, customer, topic, due_at, attempt, token, leased_until, body FROM outbox;
DROP VIEW event;
DROP VIEW change;
DROP TABLE definition;
DROP TABLE tenant;
DROP TABLE customer;
DROP TABLE entry;
DROP TABLE score;
DROP TABLE alarm;
DROP TABLE claim;
DROP TABLE counter;
DROP TABLE request;
DROP TABLE outbox;
