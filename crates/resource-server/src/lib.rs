//! Turns an access token into a [`Principal`]: a tower layer, axum extractors and guards for scope, permission and role.
//!
//! Tokens are JWT access tokens (RFC 9068), verified offline against the issuer's published keys (RFC 8414, RFC 7517).
//! Refuses tokens in query or body, tokens of another issuer, audience or type, claims of the wrong JSON type,
//! sender-constrained tokens shown as plain bearer tokens, and every key that a token brings along.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tokensmith_resource_server::{Caller, Refusal, ResourceServer, ScopeHierarchy};
//!
//! async fn groups(caller: Caller) -> Result<String, Refusal> {
//!     caller.require_scope("groups:read")?;
//!     Ok(format!("hello {}", caller.subject()))
//! }
//!
//! async fn greeting(caller: Option<Caller>) -> &'static str {
//!     if caller.is_some() { "welcome back" } else { "welcome" }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tokens = ResourceServer::builder("https://auth.example.com", "https://api.example.com")
//!     .scope_hierarchy(ScopeHierarchy::new([
//!         ("groups:admin", vec!["groups:write"]),
//!         ("groups:write", vec!["groups:read"]),
//!     ])?)
//!     .build()?;
//! let app: Router = Router::new()
//!     .route("/groups", get(groups))
//!     .layer(tokens.layer()) // optional: refuses every request of these routes that has no good token
//!     .route("/", get(greeting))
//!     .with_state(tokens);
//! # Ok(())
//! # }
//! ```
//!
//! What is kept, and for how long: published keys for 5 minutes before they are fetched again in the background, never
//! longer than 10 minutes while the issuer answers, and an hour while it does not ([`Builder::keys_fresh_for`],
//! [`Builder::keys_usable_for`]). A token signed with a withdrawn key is therefore refused within 10 minutes. Tokens
//! that were seen before are known again by the SHA-256 of their whole text until they expire; what the caller may do
//! is decided anew each time.

mod bearer;
mod builder;
mod caller;
mod certificate;
mod claims;
mod clock;
mod dpop;
mod feed;
mod keys;
mod layer;
mod legacy;
mod metadata;
mod principal;
mod refusal;
mod revoked;
mod seen;
mod server;

pub use builder::{Builder, ConfigError};
pub use caller::Caller;
pub use certificate::ClientCertificate;
pub use clock::Clock;
pub use dpop::Replays;
pub use feed::{FeedBuilder, RevocationFeed, WhenLost};
pub use layer::{Authenticate, AuthenticateLayer};
pub use principal::{AccessToken, Principal, ServicePrincipal, UserPrincipal};
pub use refusal::{Refusal, TokenError};
pub use server::{ResourceServer, Revocations};
pub use tokensmith_jose::JwkSet;
pub use tokensmith_oauth2::{
    Actor, Ancestor, Confirmation, Lineage, ProtectedResourceMetadata, Scope, ScopeHierarchy,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
