-- Values of Secrets, sealed under the master key, which is not in this database.
CREATE TABLE secrets (
  uid BIGINT PRIMARY KEY REFERENCES uids (uid),
  sealed BYTEA NOT NULL,
  changed_at_ms BIGINT NOT NULL,
  changed_by TEXT NOT NULL
);

-- The certificates stream: its latest version, and the one that the configuration needs at least.
CREATE TABLE certificates_version (
  number BIGINT PRIMARY KEY
);
ALTER TABLE versions ADD COLUMN needs_certificates BIGINT NOT NULL DEFAULT 0;

-- Keys of session tickets: names, and secrets sealed under the master key.
CREATE TABLE ticket_keys (
  uid BIGINT PRIMARY KEY,
  name BYTEA NOT NULL,
  sealed BYTEA NOT NULL,
  not_before BIGINT NOT NULL,
  not_after BIGINT NOT NULL
);

-- The tickets stream: its latest version.
CREATE TABLE tickets_version (
  number BIGINT PRIMARY KEY
);
