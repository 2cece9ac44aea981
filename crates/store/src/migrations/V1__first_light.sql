-- One text for both engines: BIGINT, TEXT and BYTEA only. On SQLite, BIGINT is read as INTEGER, BYTEA as BLOB,
-- and every table is STRICT. Times are milliseconds since the Unix epoch. Lists are JSON texts.

CREATE TABLE configuration_epoch (
    id BIGINT PRIMARY KEY,
    epoch BIGINT NOT NULL
);
INSERT INTO configuration_epoch (id, epoch) VALUES (1, 1);

-- Numbers that must rise in the order of commits. Taking one locks its row until the commit.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('revocation', 0);

CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE audit_heads (
    stream BIGINT PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash BYTEA NOT NULL
);

CREATE TABLE audit_log (
    id BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    event TEXT NOT NULL,
    user_id TEXT,
    grant_id TEXT,
    body TEXT NOT NULL,
    hash BYTEA NOT NULL
);
CREATE INDEX audit_log_user ON audit_log (user_id, at) WHERE user_id IS NOT NULL;
CREATE INDEX audit_log_grant ON audit_log (grant_id, at) WHERE grant_id IS NOT NULL;

CREATE TABLE audit_checkpoints (
    stream BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    at BIGINT NOT NULL,
    statement TEXT NOT NULL,
    PRIMARY KEY (stream, seq)
);

CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    algorithm TEXT NOT NULL,
    public_jwk TEXT NOT NULL,
    sealed_private BYTEA,
    created_at BIGINT NOT NULL,
    signs_from BIGINT NOT NULL,
    signs_until BIGINT,
    published_until BIGINT
);

CREATE TABLE scopes (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    implies TEXT NOT NULL
);

CREATE TABLE resources (
    identifier TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    signing_algorithm TEXT,
    access_token_seconds BIGINT,
    created_at BIGINT NOT NULL
);

CREATE TABLE clients (
    client_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    auth_method TEXT NOT NULL,
    secrets TEXT NOT NULL,
    grant_types TEXT NOT NULL,
    scope TEXT NOT NULL,
    resources TEXT NOT NULL,
    redirect_uris TEXT NOT NULL,
    role TEXT,
    access_token_seconds BIGINT,
    rotates_refresh_tokens BIGINT NOT NULL,
    is_active BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,
    username TEXT,
    username_key TEXT UNIQUE,
    password_hash TEXT,
    roles TEXT NOT NULL,
    is_active BIGINT NOT NULL,
    email_verified_at BIGINT,
    password_changed_at BIGINT,
    last_login_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    membership_version BIGINT NOT NULL,
    is_active BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT
);

CREATE TABLE memberships (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    added_at BIGINT NOT NULL,
    added_by TEXT,
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id, added_at, org_id);

CREATE TABLE member_groups (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT,
    updated_at BIGINT NOT NULL,
    UNIQUE (org_id, name_key)
);
CREATE INDEX member_groups_page ON member_groups (org_id, id);

CREATE TABLE group_members (
    group_id TEXT NOT NULL REFERENCES member_groups (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    added_at BIGINT NOT NULL,
    added_by TEXT,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX group_members_user ON group_members (user_id);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    org_id TEXT,
    ip TEXT,
    user_agent TEXT,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    ended_reason TEXT
);
CREATE INDEX sessions_user ON sessions (user_id, created_at);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- One row a family, never one a token: a refresh token is `family.generation.secret`, and its secret part is an
-- HMAC under the root key named by `root_key`, so nothing here can be presented as a token.
CREATE TABLE refresh_families (
    id TEXT PRIMARY KEY,
    root_key TEXT NOT NULL,
    client_id TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    user_id TEXT,
    session_id TEXT,
    org_id TEXT,
    scope TEXT NOT NULL,
    resources TEXT NOT NULL,
    generation BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    successor_used_at BIGINT,
    current_jti TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    idle_expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    revoked_reason TEXT
);
CREATE INDEX refresh_families_expiry ON refresh_families (idle_expires_at);
CREATE INDEX refresh_families_revoked ON refresh_families (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX refresh_families_user ON refresh_families (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX refresh_families_session ON refresh_families (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX refresh_families_client ON refresh_families (client_id);

-- What validating services must refuse before its expiry. `kind` is token, grant (a refresh family), session, user
-- or client. `id` is the feed's cursor: it comes from `counters`, so a lower id is never committed after a higher one.
CREATE TABLE revocations (
    id BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    revoked_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX revocations_subject ON revocations (kind, subject);
CREATE INDEX revocations_expiry ON revocations (expires_at);
