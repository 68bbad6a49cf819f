-- Every key begins with the small number of the tenant, so one shop's rows lie together and no
-- statement can meet another's. What a commit costs is the number of distinct pages it touches: so
-- there is no index that no query needs, and what belongs to one customer shares one.

CREATE TABLE tenant (
    id          INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    definitions INTEGER NOT NULL DEFAULT 0, -- their revision
    leases      INTEGER NOT NULL DEFAULT 0  -- how many were given: the token of the latest
) STRICT;

CREATE TABLE definition (
    tenant   INTEGER NOT NULL REFERENCES tenant (id),
    revision INTEGER NOT NULL,
    body     BLOB    NOT NULL, -- JSON
    PRIMARY KEY (tenant, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE customer (
    tenant  INTEGER NOT NULL,
    id      BLOB    NOT NULL,
    version INTEGER NOT NULL,
    shape   INTEGER NOT NULL,
    state   BLOB    NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

-- Events, and changes, which have no id. Rows are appended in the order in which they were committed;
-- the one index finds a customer's rows and keeps event ids unique (NULLs never collide). Two tables
-- would need two indexes, each a page more for every commit.
CREATE TABLE entry (
    position    INTEGER PRIMARY KEY,
    tenant      INTEGER NOT NULL,
    customer    BLOB    NOT NULL,
    id          BLOB,
    at          INTEGER NOT NULL, -- milliseconds since 1970, like every time here
    recorded_at INTEGER,
    kind        TEXT    NOT NULL,
    shape       INTEGER,
    source      TEXT,
    cause       BLOB,
    body        BLOB    NOT NULL, -- JSON
    CHECK (id IS NULL OR (recorded_at IS NOT NULL AND shape IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX entry_of_customer ON entry (tenant, customer, id);

-- For people with a SQL prompt; the store reads the table.
CREATE VIEW event AS
    SELECT position, tenant, hex(customer) AS customer, hex(id) AS id, at, recorded_at, kind, shape, source,
           hex(cause) AS cause, CAST(body AS TEXT) AS body
    FROM entry WHERE id IS NOT NULL;
CREATE VIEW change AS
    SELECT position, tenant, hex(customer) AS customer, at, kind, CAST(body AS TEXT) AS body
    FROM entry WHERE id IS NULL;

CREATE TABLE score (
    tenant   INTEGER NOT NULL,
    customer BLOB    NOT NULL,
    plugin   TEXT    NOT NULL,
    output   TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    value    REAL    NOT NULL,
    version  TEXT    NOT NULL,
    digest   BLOB    NOT NULL,
    input    BLOB    NOT NULL,
    PRIMARY KEY (tenant, customer, plugin, output, at)
) STRICT, WITHOUT ROWID;

-- A customer has one alarm at most. A commit gives the old one, so no index by customer is needed.
CREATE TABLE alarm (
    tenant   INTEGER NOT NULL,
    due_at   INTEGER NOT NULL,
    kind     INTEGER NOT NULL, -- its rank: what is due at one instant is due in this order
    customer BLOB    NOT NULL,
    PRIMARY KEY (tenant, due_at, kind, customer)
) STRICT, WITHOUT ROWID;

CREATE TABLE claim (
    tenant   INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    key      BLOB    NOT NULL,
    customer BLOB    NOT NULL,
    event    BLOB    NOT NULL,
    PRIMARY KEY (tenant, kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE counter (
    tenant INTEGER NOT NULL,
    name   TEXT    NOT NULL,
    value  INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE request (
    tenant   INTEGER NOT NULL,
    customer BLOB    NOT NULL,
    key      TEXT    NOT NULL,
    digest   BLOB    NOT NULL,
    answer   BLOB    NOT NULL,
    PRIMARY KEY (tenant, customer, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    tenant       INTEGER NOT NULL,
    id           BLOB    NOT NULL,
    customer     BLOB    NOT NULL,
    topic        TEXT    NOT NULL,
    due_at       INTEGER NOT NULL,
    attempt      INTEGER NOT NULL DEFAULT 0,
    token        INTEGER, -- of the latest lease, until it is settled
    leased_until INTEGER,
    body         BLOB    NOT NULL, -- JSON
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_by_due ON outbox (tenant, due_at, id);
