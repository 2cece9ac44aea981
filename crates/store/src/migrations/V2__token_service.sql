-- The complete token service. The conventions are those of the first migration.

-- Clients: metadata beyond the columns, a JSON object.
ALTER TABLE clients ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';

-- Identifiers that may be used once, until what carried them has expired. `kind` says what that was; `digest` is
-- SHA-256 over the length of the owner, the owner and the identifier.
CREATE TABLE used_jtis (
    kind TEXT NOT NULL,
    digest BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (kind, digest)
);
CREATE INDEX used_jtis_expiry ON used_jtis (expires_at);

-- Refresh token families: the key their tokens are bound to, as `jkt:` or `x5t#S256:` and its thumbprint. Never changed.
ALTER TABLE refresh_families ADD COLUMN cnf TEXT;
