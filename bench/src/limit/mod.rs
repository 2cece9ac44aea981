//! The least a program could do: the bounds that the server and the libraries are measured against.

pub(crate) mod engine;
pub(crate) mod token;
