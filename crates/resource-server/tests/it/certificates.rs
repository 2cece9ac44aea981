//! Tokens bound to a client certificate at a service (RFC 8705 section 3).

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use serde_json::{Value, json};
use tokensmith_resource_server::ClientCertificate;
use tower::ServiceExt as _;

use crate::issuer::Issuer;
use crate::protected::{app, layered};

/// `printf 'a certificate in DER' | openssl dgst -sha256 -binary | basenc --base64url`
const DER: &[u8] = b"a certificate in DER";
const THUMBPRINT: &str = "aOvm-f9rtidZP5hemu73py8jh5Etv-E7fEy86jpxM0U";

async fn status(app: &Router, scheme: &str, token: &str, shown: Option<&[u8]>) -> u16 {
    let request = Request::get("/me").header(AUTHORIZATION, format!("{scheme} {token}"));
    let mut request = request.body(Body::empty()).unwrap();
    if let Some(der) = shown {
        request
            .extensions_mut()
            .insert(ClientCertificate::from_der(der));
    }
    let response = app.clone().oneshot(request).await.unwrap();
    response.status().as_u16()
}

#[tokio::test]
async fn a_token_bound_to_a_certificate_is_good_with_that_certificate_alone() {
    let issuer = Issuer::start().await;
    let bound = issuer.token_with("cnf", Some(json!({"x5t#S256": THUMBPRINT})));
    let unbound = issuer.token_with("cnf", None::<Value>);
    for app in [app(issuer.server()), layered(issuer.server())] {
        assert_eq!(status(&app, "Bearer", &bound, Some(DER)).await, 200);
        assert_eq!(status(&app, "Bearer", &bound, None).await, 401);
        assert_eq!(status(&app, "Bearer", &bound, Some(b"another")).await, 401);
        assert_eq!(status(&app, "DPoP", &bound, Some(DER)).await, 401);
        // The token is remembered by now; the certificate is looked at again.
        assert_eq!(status(&app, "Bearer", &bound, Some(DER)).await, 200);
        assert_eq!(status(&app, "Bearer", &bound, None).await, 401);
        // A certificate takes nothing away from a token that is not bound.
        assert_eq!(status(&app, "Bearer", &unbound, Some(DER)).await, 200);
        assert_eq!(status(&app, "Bearer", &unbound, None).await, 200);
    }
}

#[tokio::test]
async fn a_token_alone_cannot_show_a_certificate() {
    let issuer = Issuer::start().await;
    let bound = issuer.token_with("cnf", Some(json!({"x5t#S256": THUMBPRINT})));
    assert!(issuer.server().verify(&bound).await.is_err());
}
