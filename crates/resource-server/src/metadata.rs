//! Protected resource metadata (RFC 9728): what this service is called, and whose tokens it takes.

use axum::routing::get;
use axum::{Json, Router};
use tokensmith_jose::dpop::ALGORITHMS;
use tokensmith_oauth2::ProtectedResourceMetadata;
use tokensmith_oauth2::metadata::OAUTH_PROTECTED_RESOURCE;
use url::Url;

use crate::ResourceServer;

impl ResourceServer {
    /// The document of RFC 9728 section 2 for this audience, issuer and scopes.
    pub fn protected_resource_metadata(&self) -> ProtectedResourceMetadata {
        let shared = self.shared();
        ProtectedResourceMetadata {
            resource: shared.audience.clone(),
            authorization_servers: vec![shared.issuer.clone()],
            scopes_supported: shared.scopes_supported.clone(),
            bearer_methods_supported: vec!["header".to_owned()],
            dpop_signing_alg_values_supported: self.proof_algorithms(),
            ..ProtectedResourceMetadata::default()
        }
    }

    fn proof_algorithms(&self) -> Vec<String> {
        let takes_dpop = self.shared().dpop.is_some();
        let names = ALGORITHMS.iter().filter(|_| takes_dpop);
        names.map(ToString::to_string).collect()
    }

    /// A router that serves the document, at the path of the configured metadata address or else the well-known one.
    pub fn metadata_router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let document = self.protected_resource_metadata();
        let serve = get(|| async move { Json(document) });
        Router::new()
            .without_v07_checks()
            .route(&self.metadata_path(), serve)
    }

    fn metadata_path(&self) -> String {
        let configured = self
            .shared()
            .resource_metadata
            .as_deref()
            .and_then(|address| Url::parse(address).ok());
        configured.map_or_else(
            || format!("/.well-known/{OAUTH_PROTECTED_RESOURCE}"),
            |address| address.path().to_owned(),
        )
    }
}
