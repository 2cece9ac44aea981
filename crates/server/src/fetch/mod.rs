//! The only way in which this server asks for a URL that came to it as data: a client's or an issuer's `jwks_uri`.
//!
//! https alone, a public address that was checked before it is connected to, no redirects, no proxy, 5 seconds and
//! 1 MiB in all, and only so many at once. What is inside the network is refused unless a setting names it.

mod address;
mod client;
mod key_sets;
mod policy;

pub use client::{FetchError, Fetched, Fetcher};
pub use key_sets::{KeyAddress, KeySets};
pub use policy::{Policy, RefusedUrl};
