//! What there is without a declaration: the names by which this server itself is administered, both as scopes of services
//! and as permissions of users, and the role that holds all of them.

/// Everything. It holds whatever can be given.
pub const ADMIN: &str = "tokensmith:admin";
/// Managing clients, within the caller's own rights.
pub const CLIENTS: &str = "tokensmith:clients";
/// Reading.
pub const READ: &str = "tokensmith:read";
/// All of them.
pub const BUILT_IN: [&str; 3] = [ADMIN, CLIENTS, READ];
/// Begins every name that cannot be declared.
pub const RESERVED: &str = "tokensmith:";
/// The role over the whole server that holds everything, declared or not.
pub const ADMIN_ROLE: &str = "admin";
