-- Every key begins with the small number of the tenant, so one shop's rows lie together and no
-- statement can meet another's. What a commit costs is the number of distinct pages it touches: so
-- there is no index that no query needs, and what belongs to one customer shares one.

CREATE TABLE crm_migration (
    step     INTEGER PRIMARY KEY,
    name     TEXT NOT NULL,
    checksum BLOB NOT NULL -- SHA-256 of its text
) STRICT;

CREATE TABLE crm_tenant (
    id          INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    definitions INTEGER NOT NULL DEFAULT 0, -- their revision
    leases      INTEGER NOT NULL DEFAULT 0  -- how many were given: the token of the latest
) STRICT;

CREATE TABLE crm_definition (
    tenant   INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    body     BLOB    NOT NULL, -- JSON
    PRIMARY KEY (tenant, revision)
) STRICT, WITHOUT ROWID;

-- The numbers and sets stand before the state, so that choosing customers by them need not read it.
CREATE TABLE crm_customer (
    tenant        INTEGER NOT NULL,
    id            BLOB    NOT NULL,
    version       INTEGER NOT NULL,
    stage         INTEGER,
    first_seen    INTEGER,
    last_seen     INTEGER,
    first_order   INTEGER,
    last_order    INTEGER,
    orders        INTEGER,
    refunds       INTEGER,
    spend         INTEGER,
    gross_spend   INTEGER,
    visits        INTEGER,
    enquiries     INTEGER,
    carts         INTEGER,
    points        INTEGER,
    points_earned INTEGER,
    sets          TEXT, -- each with a U+001F before and after it
    shape         INTEGER NOT NULL,
    state         BLOB    NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

-- Events, and changes, which have no id. Rows are appended in the order in which they were committed,
-- by one writer at a time and without gaps: the position is the place in the feed. The one index finds a
-- customer's rows and keeps event ids unique (NULLs never collide). Two tables would need two indexes,
-- each a page more for every commit.
CREATE TABLE crm_entry (
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
CREATE UNIQUE INDEX crm_entry_of_customer ON crm_entry (tenant, customer, id);

-- For people with a SQL prompt; the store reads the table.
CREATE VIEW crm_event AS
    SELECT position, tenant, hex(customer) AS customer, hex(id) AS id, at, recorded_at, kind, shape, source,
           hex(cause) AS cause, CAST(body AS TEXT) AS body
    FROM crm_entry WHERE id IS NOT NULL;
CREATE VIEW crm_change AS
    SELECT position, tenant, hex(customer) AS customer, at, kind, CAST(body AS TEXT) AS body
    FROM crm_entry WHERE id IS NULL;

CREATE TABLE crm_score (
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
CREATE TABLE crm_alarm (
    tenant   INTEGER NOT NULL,
    due_at   INTEGER NOT NULL,
    kind     INTEGER NOT NULL, -- its rank: what is due at one instant is due in this order
    customer BLOB    NOT NULL,
    PRIMARY KEY (tenant, due_at, kind, customer)
) STRICT, WITHOUT ROWID;

CREATE TABLE crm_claim (
    tenant   INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    key      BLOB    NOT NULL,
    customer BLOB    NOT NULL,
    event    BLOB    NOT NULL,
    PRIMARY KEY (tenant, kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE crm_counter (
    tenant INTEGER NOT NULL,
    name   TEXT    NOT NULL,
    value  INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE crm_request (
    tenant   INTEGER NOT NULL,
    customer BLOB    NOT NULL,
    key      TEXT    NOT NULL,
    digest   BLOB    NOT NULL,
    answer   BLOB    NOT NULL,
    PRIMARY KEY (tenant, customer, key)
) STRICT, WITHOUT ROWID;

-- Dead letters stay here, and out of the index that leasing goes by.
CREATE TABLE crm_outbox (
    tenant       INTEGER NOT NULL,
    id           BLOB    NOT NULL,
    customer     BLOB    NOT NULL,
    topic        TEXT    NOT NULL,
    due_at       INTEGER NOT NULL,
    attempt      INTEGER NOT NULL DEFAULT 0,
    token        INTEGER, -- of the latest lease, until it is settled
    leased_until INTEGER,
    dead         TEXT, -- why it was given up
    body         BLOB    NOT NULL, -- JSON
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX crm_outbox_by_due ON crm_outbox (tenant, due_at, id) WHERE dead IS NULL;
CREATE INDEX crm_outbox_dead ON crm_outbox (tenant, due_at, id) WHERE dead IS NOT NULL;

-- Personal rows lie apart, so that they can be erased. Values are sealed by whoever writes them.
CREATE TABLE crm_personal (
    tenant   INTEGER NOT NULL,
    customer BLOB    NOT NULL,
    field    TEXT    NOT NULL,
    value    BLOB    NOT NULL,
    PRIMARY KEY (tenant, customer, field)
) STRICT, WITHOUT ROWID;

CREATE TABLE crm_person_key (
    tenant   INTEGER NOT NULL,
    customer BLOB    NOT NULL,
    key      BLOB    NOT NULL, -- of the engine's, or none if the host keeps it
    PRIMARY KEY (tenant, customer)
) STRICT, WITHOUT ROWID;

CREATE TABLE crm_token (
    tenant   INTEGER NOT NULL,
    token    BLOB    NOT NULL,
    customer BLOB    NOT NULL,
    PRIMARY KEY (tenant, token, customer)
) STRICT, WITHOUT ROWID;
CREATE INDEX crm_token_of_customer ON crm_token (tenant, customer);

-- Who follows the feed, which is the store's and not a tenant's.
CREATE TABLE crm_consumer (
    name     TEXT    PRIMARY KEY,
    position INTEGER NOT NULL,
    epoch    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
