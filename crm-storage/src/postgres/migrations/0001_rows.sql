-- Every row begins with its lane, and so does every primary and every unique key: a lane is the unit by
-- which rows are spread over machines. Every row carries the number of its tenant. There are no
-- sequences, no foreign keys and no triggers, and the server's clock is never read. Texts that callers
-- choose are bytes, since PostgreSQL's text cannot hold them all. Times are milliseconds since 1970.
--
-- "@." stands for the schema and "@lanes" for the number of lanes.

-- Where each lane's feed ends. Whoever writes a customer holds the head of the customer's lane until the
-- transaction ends: so positions have no gaps, and come in the order of commits. One row to a page or
-- so, since these rows are written all the time.
CREATE TABLE @.lane_head (
    lane     smallint PRIMARY KEY,
    position bigint   NOT NULL
) WITH (fillfactor = 10);
INSERT INTO @.lane_head (lane, position) SELECT lane, 0 FROM generate_series(0, @lanes - 1) AS lane;

-- How far each consumer has followed a lane's feed, of all tenants.
CREATE TABLE @.consumer (
    lane     smallint NOT NULL,
    name     bytea    NOT NULL,
    position bigint   NOT NULL,
    epoch    bigint   NOT NULL,
    PRIMARY KEY (lane, name)
);

-- A tenant's number is the beginning of the SHA-256 of its name, so that it need not be looked up.
CREATE TABLE @.tenant (
    lane        smallint NOT NULL,
    tenant      bigint   NOT NULL,
    name        text     NOT NULL,
    definitions bigint   NOT NULL, -- their revision
    leases      bigint   NOT NULL, -- how many were given
    PRIMARY KEY (lane, tenant)
) WITH (fillfactor = 50);

CREATE TABLE @.definition (
    lane     smallint NOT NULL,
    tenant   bigint   NOT NULL,
    revision bigint   NOT NULL,
    body     bytea    NOT NULL, -- JSON
    PRIMARY KEY (lane, tenant, revision)
);

-- Its numbers are added by steps of their own, one for each. Room is left in each page, so that a new
-- version of a row fits beside the old one and no index has to be written.
CREATE TABLE @.customer (
    lane    smallint NOT NULL,
    tenant  bigint   NOT NULL,
    id      uuid     NOT NULL,
    version bigint   NOT NULL,
    shape   integer  NOT NULL,
    state   bytea    NOT NULL,
    sets    text[]   NOT NULL,
    PRIMARY KEY (lane, tenant, id)
) WITH (fillfactor = 80);
CREATE INDEX customer_by_id ON @.customer (tenant, id);

-- Events, and changes, which have no id. The one index finds a customer's rows and keeps event ids
-- unique (NULLs never collide).
CREATE TABLE @.entry (
    lane        smallint NOT NULL,
    position    bigint   NOT NULL,
    tenant      bigint   NOT NULL,
    customer    uuid     NOT NULL,
    id          uuid,
    at          bigint   NOT NULL,
    recorded_at bigint,
    kind        bytea    NOT NULL,
    shape       integer,
    source      text,
    cause       uuid,
    body        bytea    NOT NULL, -- JSON
    PRIMARY KEY (lane, position),
    CHECK (id IS NULL OR (recorded_at IS NOT NULL AND shape IS NOT NULL))
);
CREATE UNIQUE INDEX entry_of_customer ON @.entry (lane, tenant, customer, id) INCLUDE (position);

-- For people with a prompt; the store reads the table.
CREATE VIEW @.event AS
    SELECT lane, position, tenant, customer, id, at, recorded_at, encode(kind, 'escape') AS kind, shape, source,
           cause, encode(body, 'escape') AS body
    FROM @.entry WHERE id IS NOT NULL;
CREATE VIEW @.change AS
    SELECT lane, position, tenant, customer, at, encode(kind, 'escape') AS kind, encode(body, 'escape') AS body
    FROM @.entry WHERE id IS NULL;

CREATE TABLE @.score (
    lane     smallint         NOT NULL,
    tenant   bigint           NOT NULL,
    customer uuid             NOT NULL,
    plugin   bytea            NOT NULL,
    output   bytea            NOT NULL,
    at       bigint           NOT NULL,
    value    double precision NOT NULL,
    version  bytea            NOT NULL,
    digest   bytea            NOT NULL,
    input    bytea            NOT NULL,
    PRIMARY KEY (lane, tenant, customer, plugin, output, at)
);

CREATE TABLE @.alarm (
    lane     smallint NOT NULL,
    tenant   bigint   NOT NULL,
    customer uuid     NOT NULL,
    due_at   bigint   NOT NULL,
    kind     smallint NOT NULL, -- its rank: what is due at one instant is due in this order
    PRIMARY KEY (lane, tenant, customer, due_at, kind)
);
CREATE INDEX alarm_by_due ON @.alarm (tenant, due_at, kind, customer);

-- In the lane of the key.
CREATE TABLE @.claim (
    lane     smallint NOT NULL,
    tenant   bigint   NOT NULL,
    kind     bytea    NOT NULL,
    key      bytea    NOT NULL,
    customer uuid     NOT NULL,
    event    uuid     NOT NULL,
    PRIMARY KEY (lane, tenant, kind, key)
);

-- In the lane of the name.
CREATE TABLE @.counter (
    lane   smallint NOT NULL,
    tenant bigint   NOT NULL,
    name   bytea    NOT NULL,
    value  bigint   NOT NULL,
    PRIMARY KEY (lane, tenant, name)
) WITH (fillfactor = 50);

CREATE TABLE @.request (
    lane     smallint NOT NULL,
    tenant   bigint   NOT NULL,
    customer uuid     NOT NULL,
    key      bytea    NOT NULL,
    digest   bytea    NOT NULL,
    answer   bytea    NOT NULL,
    PRIMARY KEY (lane, tenant, customer, key)
);

-- In the lane of the id. A dead letter has a reason.
CREATE TABLE @.outbox (
    lane         smallint NOT NULL,
    tenant       bigint   NOT NULL,
    id           uuid     NOT NULL,
    customer     uuid     NOT NULL,
    topic        bytea    NOT NULL,
    due_at       bigint   NOT NULL,
    body         bytea    NOT NULL, -- JSON
    attempt      bigint   NOT NULL,
    token        bigint, -- of the latest lease, until it is settled
    leased_until bigint,
    reason       bytea,
    PRIMARY KEY (lane, tenant, id)
) WITH (fillfactor = 80);
CREATE INDEX outbox_by_due ON @.outbox (tenant, due_at, id) WHERE reason IS NULL;
CREATE INDEX outbox_dead ON @.outbox (tenant, due_at, id) WHERE reason IS NOT NULL;

-- What is personal lies apart from everything else, so that it can be erased.
CREATE TABLE @.personal (
    lane     smallint NOT NULL,
    tenant   bigint   NOT NULL,
    customer uuid     NOT NULL,
    field    bytea    NOT NULL,
    value    bytea    NOT NULL,
    PRIMARY KEY (lane, tenant, customer, field)
);

CREATE TABLE @.person_key (
    lane     smallint NOT NULL,
    tenant   bigint   NOT NULL,
    customer uuid     NOT NULL,
    key      bytea    NOT NULL,
    PRIMARY KEY (lane, tenant, customer)
);

CREATE TABLE @.token (
    lane     smallint NOT NULL,
    tenant   bigint   NOT NULL,
    customer uuid     NOT NULL,
    token    uuid     NOT NULL,
    PRIMARY KEY (lane, tenant, customer, token)
);
CREATE INDEX token_by_token ON @.token (tenant, token);
