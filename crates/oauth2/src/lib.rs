//! The words and pure rules of OAuth 2: what a scope, a client id, a redirect URI, a PKCE challenge or a
//! form may look like, and how messages and challenges are written.
//! No I/O and no clock: every rule is a function of its arguments. It refuses to guess: what a
//! specification does not allow is an error, never a repaired value.

pub mod basic;
pub mod challenge;
pub mod form;
pub mod metadata;
pub mod pkce;
pub mod token_response;

mod actor;
mod client_id;
mod confirmation;
mod error_code;
mod grant_type;
mod plain;
mod redirect_uri;
mod resource;
mod scope;
mod scope_hierarchy;
mod secret;

pub use actor::{Actor, Ancestor, Lineage, TooManyActors, TooManyAncestors};
pub use client_id::{ClientId, ClientIdError};
pub use confirmation::{Confirmation, MalformedConfirmation, Thumbprint};
pub use error_code::ErrorCode;
pub use form::{Form, FormError};
pub use grant_type::{GrantType, UnsupportedGrantType};
pub use metadata::{AuthorizationServerMetadata, MtlsEndpointAliases, ProtectedResourceMetadata};
pub use pkce::{CodeChallenge, CodeVerifier, PkceError};
pub use plain::stands_in_json;
pub use redirect_uri::{RedirectUri, RedirectUriError};
pub use resource::{ResourceError, ResourceIndicator};
pub use scope::{Scope, ScopeError};
pub use scope_hierarchy::ScopeHierarchy;
pub use secret::Secret;
pub use token_response::{ErrorResponse, TokenResponse};
