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
