-- The control plane's own CA: certificate (PEM), and private key sealed under the master key.
CREATE TABLE authority (
  uid BIGINT PRIMARY KEY,
  certificate TEXT NOT NULL,
  sealed BYTEA NOT NULL,
  created_at BIGINT NOT NULL
);

-- Certificates of nodes that have not ended long ago.
CREATE TABLE node_certificates (
  serial TEXT PRIMARY KEY,
  node TEXT NOT NULL,
  not_before BIGINT NOT NULL,
  not_after BIGINT NOT NULL,
  revoked_at BIGINT NOT NULL
);
CREATE INDEX node_certificates_node ON node_certificates (node);

-- Join tokens that were there when a node was revoked: they do not let it in again.
CREATE TABLE refused_joins (
  node TEXT NOT NULL,
  token TEXT NOT NULL,
  PRIMARY KEY (node, token)
);
