//! What there is without a declaration: the names by which this server itself is administered, both as scopes of services
//! and as permissions of users, and the role that holds all of them.

pub use tokensmith_store::{ADMIN_ROLE, EVERYTHING as ADMIN, RESERVED, USERS};

/// Managing clients, within the caller's own rights.
pub const CLIENTS: &str = "tokensmith:clients";
/// Reading.
pub const READ: &str = "tokensmith:read";
/// All of them.
pub const BUILT_IN: [&str; 4] = [ADMIN, CLIENTS, USERS, READ];
