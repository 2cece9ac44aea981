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

-- Refresh tokens of the older machine-to-machine service, as SHA-256. Generation 0 may be presented, once; a lower one
-- was used before it came here. They go with their family.
CREATE TABLE imported_refresh_tokens (
    digest BYTEA PRIMARY KEY,
    family_id TEXT NOT NULL REFERENCES refresh_families (id) ON DELETE CASCADE,
    generation BIGINT NOT NULL
);
CREATE INDEX imported_refresh_tokens_family ON imported_refresh_tokens (family_id, generation);

-- Lines of an older audit log that were brought over, as SHA-256 of the document, so that an import can be repeated.
CREATE TABLE imported_audit_lines (
    digest BYTEA PRIMARY KEY
);

-- SQLite: how far the audit journal beside the file was moved into the chain.
CREATE TABLE audit_journal (
    id BIGINT PRIMARY KEY,
    round BIGINT NOT NULL,
    position BIGINT NOT NULL
);

-- Issuers whose tokens stand for clients of ours (RFC 7523 section 2.1). `record` is a JSON object.
CREATE TABLE trusted_issuers (
    issuer TEXT PRIMARY KEY,
    record TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Permissions, and roles that hold them and may include other roles. Lists are JSON texts.
CREATE TABLE permissions (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL
);
CREATE TABLE roles (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    permissions TEXT NOT NULL,
    includes TEXT NOT NULL
);
