-- People: accounts, sessions, second factors, and the pages they see. The conventions are those of the first migration.

-- Pages: the cookie of a session's browser, as SHA-256. It goes with its session.
CREATE TABLE browser_sessions (
    session_id TEXT PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    digest BYTEA NOT NULL UNIQUE
);

-- Pages: how an organization looks. The colour is six hexadecimal digits.
CREATE TABLE organization_brands (
    org_id TEXT PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
    name TEXT,
    colour TEXT,
    logo_type TEXT,
    logo BYTEA
);

-- Mail that waits to be sent, written with what caused it. `id` names the event, so an event makes one mail. `sealed`
-- holds the message under the master key. What is done keeps neither address nor text, and goes when it expires.
CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    template TEXT NOT NULL,
    recipient TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    done_at BIGINT,
    outcome TEXT,
    last_error TEXT
);
CREATE INDEX outbox_due ON outbox (due_at) WHERE done_at IS NULL;
CREATE INDEX outbox_expiry ON outbox (expires_at);

-- Sessions: how the user proved who they are (level and methods as in authentication.rs), on what, and how long the
-- session may rest unused.
ALTER TABLE sessions ADD COLUMN level TEXT NOT NULL DEFAULT 'aal1';
ALTER TABLE sessions ADD COLUMN methods TEXT NOT NULL DEFAULT '["pwd"]';
ALTER TABLE sessions ADD COLUMN authenticated_at BIGINT;
ALTER TABLE sessions ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN idle_millis BIGINT;

-- Roles in an organization: declared roles of a member beside owner, admin or member. A list.
ALTER TABLE memberships ADD COLUMN roles TEXT NOT NULL DEFAULT '[]';

-- Resources: what their access tokens say of a user beyond the ids, a list; NULL for the usual.
ALTER TABLE resources ADD COLUMN user_claims TEXT;

-- Organizations: what ends with one that is disabled.
CREATE INDEX refresh_families_org ON refresh_families (org_id) WHERE org_id IS NOT NULL;

-- Refresh tokens: no index follows `idle_expires_at`, which every rotation moves. A family that lay unused for too long
-- is refused at once and removed when it would have ended anyhow.
DROP INDEX refresh_families_expiry;
CREATE INDEX refresh_families_end ON refresh_families (expires_at);

-- Audit: what statistics and the search for attacks read, by kind and time. Not the lines of issued tokens, which are
-- most of the log, so that these pay nothing for it. The list is that of `NOTED` in audit/noted.rs.
CREATE INDEX audit_log_noted ON audit_log (event, at) WHERE event IN ('login_success', 'login_failure',
    'rate_limit_exceeded', 'refresh_token_reuse', 'suspicious_activity', 'token_invalid');

-- API keys of users and of clients, the secret as SHA-256. `expires_at` is never open.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    digest BYTEA NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    client_id TEXT REFERENCES clients (client_id) ON DELETE CASCADE,
    org_id TEXT,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    resource TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX api_keys_user ON api_keys (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX api_keys_client ON api_keys (client_id, id) WHERE client_id IS NOT NULL;
CREATE INDEX api_keys_expiry ON api_keys (expires_at);

-- Invitations into organizations, the token as SHA-256. `outcome` is accepted, revoked or replaced.
CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    role TEXT NOT NULL,
    digest BYTEA NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    created_by TEXT,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    outcome TEXT,
    accepted_by TEXT
);
CREATE INDEX invitations_org ON invitations (org_id, id) WHERE ended_at IS NULL;
CREATE INDEX invitations_expiry ON invitations (expires_at);

-- Second factors. A secret of an authenticator app is sealed; a step of time is used once, so the last one is kept.
CREATE TABLE totp_credentials (
    user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    sealed_secret BYTEA NOT NULL,
    last_step BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    confirmed_at BIGINT
);
CREATE TABLE passkeys (
    id TEXT PRIMARY KEY,
    credential_id BYTEA NOT NULL UNIQUE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    public_key BYTEA NOT NULL,
    sign_count BIGINT NOT NULL,
    is_backed_up BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX passkeys_user ON passkeys (user_id);
CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (user_id, digest)
);

-- Wrong codes since the last right one, and until when none is tried.
CREATE TABLE factor_failures (
    user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    failures BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL
);

-- Who must have a second factor. `kind` is user, role or organization.
CREATE TABLE factor_rules (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (kind, subject)
);

-- Sign-ins and ceremonies that wait for their second half, by SHA-256 of their secret.
CREATE TABLE pending_sign_ins (
    digest BYTEA PRIMARY KEY,
    purpose TEXT NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    org_id TEXT,
    session_id TEXT REFERENCES sessions (id) ON DELETE CASCADE,
    level TEXT,
    methods TEXT,
    authenticated_at BIGINT,
    challenge BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX pending_sign_ins_expiry ON pending_sign_ins (expires_at);
CREATE INDEX pending_sign_ins_user ON pending_sign_ins (user_id) WHERE user_id IS NOT NULL;

-- Devices that need no second factor, by SHA-256 of their secret.
CREATE TABLE remembered_devices (
    digest BYTEA PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX remembered_devices_user ON remembered_devices (user_id);
CREATE INDEX remembered_devices_expiry ON remembered_devices (expires_at);

-- Accounts: what proves that somebody reads an address, one of a kind for a user, so that a new one replaces the one
-- before. The link's token is kept as SHA-256, the code as an HMAC. `email` is the address it was sent to.
CREATE TABLE account_proofs (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    email TEXT NOT NULL,
    token_digest BYTEA NOT NULL,
    code_digest BYTEA NOT NULL,
    tries_left BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, kind)
);
CREATE UNIQUE INDEX account_proofs_token ON account_proofs (token_digest);
CREATE INDEX account_proofs_expiry ON account_proofs (expires_at);
