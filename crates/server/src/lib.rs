//! The authorization server as a library: one folder or file per feature, never per layer.
//!
//! [`app::App`] is what every request shares, [`router::router`] is every path. The binary and the tests start it the
//! same way.

pub mod access;
pub mod account;
pub mod admin;
pub mod api_keys;
pub mod app;
pub mod assertion;
pub mod audit;
pub mod authorization_audit;
pub mod caller;
pub mod client_auth;
pub mod config;
pub mod context;
pub mod correlation;
pub mod demo;
mod dpop;
pub mod entropy;
pub mod error;
pub mod extract;
pub mod fetch;
pub mod groups;
pub mod health;
pub mod introspect;
pub mod jobs;
pub mod jwks;
pub mod keys;
pub mod legacy;
pub mod listen;
pub mod login;
pub mod mail;
pub mod metadata;
pub mod mfa;
pub mod mtls;
pub mod now;
pub mod observe;
pub mod openapi;
pub mod orgs;
pub mod pages;
pub mod password;
pub mod rate_limit;
pub mod registry;
pub mod revocations;
pub mod revoke;
pub mod roles;
pub mod router;
pub mod session;
pub mod start;
pub mod status;
pub mod timeline;
pub mod token;
