CREATE TABLE release (
    service TEXT NOT NULL,
    number INTEGER NOT NULL,
    id TEXT NOT NULL,
    parts TEXT NOT NULL,
    roots TEXT NOT NULL,
    entry TEXT NOT NULL,
    spec TEXT NOT NULL,
    source TEXT NOT NULL,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    collected TEXT,
    PRIMARY KEY (service, number),
    UNIQUE (service, id)
);

CREATE TABLE signature (
    service TEXT NOT NULL,
    release TEXT NOT NULL,
    key TEXT NOT NULL,
    envelope TEXT NOT NULL,
    PRIMARY KEY (service, release, key)
);

CREATE TABLE pointer (
    service TEXT NOT NULL,
    name TEXT NOT NULL,
    release TEXT NOT NULL,
    previous TEXT NOT NULL,
    generation INTEGER NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (service, name)
);

CREATE TABLE event (
    n INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    service TEXT NOT NULL,
    "from" TEXT NOT NULL,
    "to" TEXT NOT NULL,
    why TEXT NOT NULL,
    detail TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);

CREATE INDEX event_of_service ON event (service, n);

CREATE TABLE gate (
    n INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    release TEXT NOT NULL,
    name TEXT NOT NULL,
    verdict TEXT NOT NULL,
    because TEXT NOT NULL,
    against TEXT NOT NULL,
    evidence TEXT NOT NULL,
    machine TEXT NOT NULL,
    at TEXT NOT NULL
);

CREATE INDEX gate_of_release ON gate (service, release);

CREATE TABLE rollout (
    id TEXT PRIMARY KEY,
    service TEXT NOT NULL,
    "from" TEXT NOT NULL,
    "to" TEXT NOT NULL,
    state TEXT NOT NULL,
    plan TEXT NOT NULL,
    detail TEXT NOT NULL,
    version INTEGER NOT NULL,
    at TEXT NOT NULL,
    changed TEXT NOT NULL,
    ended TEXT,
    who TEXT NOT NULL
);

CREATE UNIQUE INDEX rollout_at_a_time ON rollout (service) WHERE ended IS NULL;

CREATE TABLE evidence (
    service TEXT NOT NULL,
    release TEXT NOT NULL,
    machine TEXT NOT NULL,
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (service, release, machine, kind)
);

CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    token INTEGER NOT NULL,
    expires TEXT NOT NULL
);

CREATE TABLE access_key (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    scopes TEXT NOT NULL,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    expires TEXT,
    revoked TEXT
);

CREATE TABLE label (
    service TEXT NOT NULL,
    "by" TEXT NOT NULL,
    ref TEXT NOT NULL,
    label TEXT NOT NULL,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    arrived TEXT NOT NULL,
    PRIMARY KEY (service, "by", ref)
);

CREATE INDEX label_by_arrival ON label (service, arrived);

CREATE TABLE profile (
    service TEXT NOT NULL,
    release TEXT NOT NULL,
    kind TEXT NOT NULL,
    since TEXT NOT NULL,
    until TEXT NOT NULL,
    rows INTEGER NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (service, release, kind, since, until)
);

CREATE TABLE job (
    id TEXT PRIMARY KEY,
    service TEXT NOT NULL,
    state TEXT NOT NULL,
    plan TEXT NOT NULL,
    result TEXT NOT NULL,
    holder TEXT NOT NULL,
    token INTEGER NOT NULL,
    expires TEXT,
    at TEXT NOT NULL,
    changed TEXT NOT NULL
);

CREATE TABLE generation (
    n INTEGER NOT NULL
);

INSERT INTO generation (n) VALUES (0);
