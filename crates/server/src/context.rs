//! Who asks, from where, in which request: taken once at the edge and carried into every audit line.

use std::{convert::Infallible, net::IpAddr};

use axum::extract::FromRequestParts;
use http::request::Parts;
use tokensmith_store::{AuditContext, Timestamp};

use crate::{
    app::App,
    correlation::CorrelationId,
    listen::{ClientCertificate, PeerAddr},
    now::Now,
    rate_limit::Shown,
};

/// The circumstances of a request.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Its instant.
    pub now: Timestamp,
    /// The caller's address: the peer, or what a configured proxy says of it.
    pub ip: Option<IpAddr>,
    /// Its correlation id.
    pub correlation_id: Option<CorrelationId>,
    /// The certificate the client showed (RFC 8705), and that it has its key; whom it names is not checked.
    pub certificate: Option<ClientCertificate>,
    /// Where limits write what they say of it, for the header fields of the answer.
    pub limits: Option<Shown>,
}

impl FromRequestParts<App> for RequestContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let Now(now) = Now::from_request_parts(parts, app).await?;
        let ip = parts.extensions.get::<PeerAddr>().map(|peer| peer.client);
        Ok(Self {
            now,
            ip,
            correlation_id: parts.extensions.get::<CorrelationId>().cloned(),
            certificate: parts.extensions.get::<ClientCertificate>().cloned(),
            limits: parts.extensions.get::<Shown>().cloned(),
        })
    }
}

impl RequestContext {
    /// Something that no request asked for, at this instant.
    pub fn without_request(now: Timestamp) -> Self {
        Self {
            now,
            ip: None,
            correlation_id: None,
            certificate: None,
            limits: None,
        }
    }

    /// The same for an audit line, with who acted.
    pub fn audit(&self, actor: Option<String>) -> AuditContext {
        AuditContext {
            at: self.now,
            ip: self.ip.map(|ip| ip.to_string()),
            correlation_id: self
                .correlation_id
                .as_ref()
                .map(|id| id.as_str().to_owned()),
            actor,
        }
    }
}
