#![doc = include_str!("../README.md")]

mod access_token;
mod assertion;
mod authorized;
mod discovery;
mod dpop;
mod error;
mod grant;
mod http_client;
mod pace;
mod service_client;
mod service_token;
mod service_token_set;
mod source;

pub use access_token::AccessToken;
pub use authorized::{AuthorizeLayer, Authorized, AuthorizedError};
pub use dpop::DpopKey;
pub use error::{SettingsError, TokenError, TokenErrorKind};
pub use service_client::{ClientAuthentication, ServiceClient, TokenEndpoint};
pub use service_token::ServiceTokenManager;
pub use service_token_set::ServiceTokenSet;
pub use source::TokenSource;

pub use tokensmith_oauth2::{ClientId, ResourceIndicator, Scope, Secret};
