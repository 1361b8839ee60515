-- Who this database is: lineage (16 bytes), latest config and directory versions live in their tables.
CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value BYTEA NOT NULL
);

-- Every uid that was ever given out, so that none is given twice.
CREATE TABLE uids (
  uid BIGINT PRIMARY KEY
);

-- One row for each change of the configuration.
CREATE TABLE versions (
  number BIGINT PRIMARY KEY,
  lineage BYTEA NOT NULL,
  digest BYTEA NOT NULL,
  actor TEXT NOT NULL,
  message TEXT NOT NULL,
  set_name TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  phase TEXT NOT NULL,
  undoes BIGINT NOT NULL,
  needs_directory BIGINT NOT NULL
);

-- Configuration objects through time: a row holds from from_version until before to_version (null: still).
CREATE TABLE objects (
  uid BIGINT NOT NULL REFERENCES uids (uid),
  kind TEXT NOT NULL,
  owner TEXT NOT NULL,
  name TEXT NOT NULL,
  generation BIGINT NOT NULL,
  set_name TEXT NOT NULL,
  from_version BIGINT NOT NULL REFERENCES versions (number),
  to_version BIGINT REFERENCES versions (number),
  body BYTEA NOT NULL,
  PRIMARY KEY (uid, from_version)
);
CREATE UNIQUE INDEX objects_current ON objects (kind, owner, name) WHERE to_version IS NULL;
CREATE INDEX objects_from ON objects (from_version);
CREATE INDEX objects_to ON objects (to_version);

-- What nodes hold of each version, as it was made once.
CREATE TABLE entries (
  kind BIGINT NOT NULL,
  uid BIGINT NOT NULL,
  from_version BIGINT NOT NULL REFERENCES versions (number),
  to_version BIGINT REFERENCES versions (number),
  object TEXT NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (kind, uid, from_version)
);
CREATE INDEX entries_from ON entries (from_version);
CREATE INDEX entries_to ON entries (to_version);

-- Consumers, Apps, Subscriptions: current state; what happened to them is in audit.
CREATE TABLE records (
  uid BIGINT PRIMARY KEY REFERENCES uids (uid),
  kind TEXT NOT NULL,
  owner TEXT NOT NULL,
  name TEXT NOT NULL,
  generation BIGINT NOT NULL,
  set_name TEXT NOT NULL,
  body BYTEA NOT NULL,
  UNIQUE (kind, owner, name)
);

CREATE TABLE keys (
  uid BIGINT PRIMARY KEY REFERENCES uids (uid),
  key_id TEXT NOT NULL UNIQUE,
  app BIGINT NOT NULL,
  app_name TEXT NOT NULL,
  sha256 BYTEA NOT NULL UNIQUE,
  live BIGINT NOT NULL,
  imported BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revoked_at BIGINT NOT NULL
);
CREATE INDEX keys_app ON keys (app);

-- The directory stream: its versions, and what nodes hold of the latest one.
CREATE TABLE directory_versions (
  number BIGINT PRIMARY KEY,
  digest BYTEA NOT NULL,
  created_at_ms BIGINT NOT NULL,
  actor TEXT NOT NULL
);
CREATE TABLE directory_entries (
  kind BIGINT NOT NULL,
  uid BIGINT NOT NULL,
  version BIGINT NOT NULL REFERENCES directory_versions (number),
  object TEXT NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (kind, uid)
);

-- What each node said of each version, latest word.
CREATE TABLE node_states (
  version BIGINT NOT NULL,
  node TEXT NOT NULL,
  state BIGINT NOT NULL,
  diagnostics BYTEA NOT NULL,
  build_micros BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  PRIMARY KEY (version, node)
);

-- Bearer tokens of people, pipelines and nodes, and join tokens: by id, with the hash of the secret.
CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  team TEXT NOT NULL,
  sha256 BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revoked_at BIGINT NOT NULL
);

-- Sets whose change was undone: their next apply is refused until they are released.
CREATE TABLE holds (
  set_name TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  actor TEXT NOT NULL,
  at_ms BIGINT NOT NULL
);

-- Metered use. A batch (node, boot, sequence) is applied once, in the transaction that raises the totals.
CREATE TABLE usage_totals (
  subscription BIGINT NOT NULL,
  app BIGINT NOT NULL,
  plan BIGINT NOT NULL,
  api BIGINT NOT NULL,
  route BIGINT NOT NULL,
  status_class BIGINT NOT NULL,
  hour BIGINT NOT NULL,
  requests BIGINT NOT NULL,
  units BIGINT NOT NULL,
  request_bytes BIGINT NOT NULL,
  response_bytes BIGINT NOT NULL,
  PRIMARY KEY (subscription, hour, app, plan, api, route, status_class)
);
CREATE INDEX usage_hour ON usage_totals (hour);
CREATE TABLE usage_positions (
  node TEXT NOT NULL,
  boot BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  PRIMARY KEY (node, boot)
);
-- Names of what usage speaks of, kept when the object is gone.
CREATE TABLE usage_names (
  uid BIGINT PRIMARY KEY,
  kind TEXT NOT NULL,
  name TEXT NOT NULL
);

CREATE TABLE audit (
  id BIGINT PRIMARY KEY,
  at_ms BIGINT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  object TEXT NOT NULL,
  detail TEXT NOT NULL
);
