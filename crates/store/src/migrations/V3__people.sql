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
