//! A router that remembers its paths, so that the document of the API can be compared with it.

use std::{collections::BTreeSet, convert::Infallible};

use axum::{
    Router,
    extract::Request,
    response::IntoResponse,
    routing::{MethodRouter, Route},
};
use tower::{Layer, Service};

/// Routes, and the paths they are at. Its methods are those of [`axum::Router`].
#[derive(Clone)]
pub struct Routes<S = crate::app::App> {
    router: Router<S>,
    paths: BTreeSet<String>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes.
    pub fn new() -> Self {
        Self {
            router: Router::new(),
            paths: BTreeSet::new(),
        }
    }

    /// Adds a path.
    #[must_use]
    pub fn route(mut self, path: &str, methods: MethodRouter<S>) -> Self {
        self.paths.insert(path.to_owned());
        self.router = self.router.route(path, methods);
        self
    }

    /// Adds the paths of another.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.paths.extend(other.paths);
        self.router = self.router.merge(other.router);
        self
    }

    /// Adds pages for people, which are no part of the API and not described.
    #[must_use]
    pub fn pages(mut self, pages: Router<S>) -> Self {
        self.router = self.router.merge(pages);
        self
    }

    /// Puts a layer around every route there is so far, where one matched.
    #[must_use]
    pub fn route_layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        self.router = self.router.route_layer(layer);
        self
    }

    /// The paths, as axum writes them.
    pub fn paths(&self) -> &BTreeSet<String> {
        &self.paths
    }

    /// The router itself.
    pub fn into_router(self) -> Router<S> {
        self.router
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}
