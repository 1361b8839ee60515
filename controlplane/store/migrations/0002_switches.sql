-- Operators' stop switches: part of no version. A row holds until it is taken back, or until expires_at.
CREATE TABLE switches (
  kind BIGINT NOT NULL,
  name TEXT NOT NULL,
  target TEXT NOT NULL,
  uid BIGINT NOT NULL UNIQUE,
  object BIGINT NOT NULL,
  message TEXT NOT NULL,
  status BIGINT NOT NULL,
  retry_after BIGINT NOT NULL,
  actor TEXT NOT NULL,
  since BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (kind, name, target)
);

-- The switches stream: its latest version.
CREATE TABLE switches_version (
  number BIGINT PRIMARY KEY
);
