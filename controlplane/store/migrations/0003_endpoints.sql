-- Targets added to Upstreams at run time: part of no version. A row holds until it is removed, until expires_at, or until its
-- Upstream is gone.
CREATE TABLE endpoints (
  upstream BIGINT NOT NULL,
  address TEXT NOT NULL,
  uid BIGINT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  weight BIGINT NOT NULL,
  zone TEXT NOT NULL,
  priority BIGINT NOT NULL,
  actor TEXT NOT NULL,
  since BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (upstream, address)
);

-- The endpoints stream: its latest version.
CREATE TABLE endpoints_version (
  number BIGINT PRIMARY KEY
);
