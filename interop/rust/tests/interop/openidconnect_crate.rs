//! `openidconnect`: discovery, key sets, client_credentials, and the check of a JWT against the published keys.

use std::str::FromStr;

use openidconnect::core::{
    CoreClient, CoreErrorResponseType, CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet,
    CoreJwsSigningAlgorithm, CoreProviderMetadata,
};
use openidconnect::{
    ClaimsVerificationError, ClientId, ClientSecret, EndpointNotSet, EndpointSet, IssuerUrl,
    JsonWebKeySetUrl, JsonWebTokenType, Nonce, OAuth2TokenResponse, RequestTokenError, Scope,
    TokenUrl,
};

use crate::{AUDIENCE, SECRET, SERVICE, http, issuer, url};

type Client =
    CoreClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

fn issuer_url() -> IssuerUrl {
    IssuerUrl::new(issuer()).unwrap()
}

fn keys() -> CoreJsonWebKeySet {
    let at = JsonWebKeySetUrl::new(url("/.well-known/jwks.json")).unwrap();
    CoreJsonWebKeySet::fetch(&at, &http()).unwrap()
}

fn service(secret: &str) -> Client {
    CoreClient::new(ClientId::new(SERVICE.into()), issuer_url(), keys())
        .set_client_secret(ClientSecret::new(secret.into()))
        .set_token_uri(TokenUrl::new(url("/oauth/token")).unwrap())
        .disable_openid_scope()
}

fn access_token() -> String {
    let client = service(SECRET);
    let request = client
        .exchange_client_credentials()
        .add_scope(Scope::new("groups:read".into()));
    request
        .request(&http())
        .unwrap()
        .access_token()
        .secret()
        .clone()
}

/// Checks an access token with what the crate has for ID tokens: issuer, audience, time, signature.
fn checked(token: &str, jwt_type: &str, audience: &str) -> Result<String, ClaimsVerificationError> {
    let jwt_type = JsonWebTokenType::new(jwt_type.into()).normalize().unwrap();
    let audience = ClientId::new(audience.into());
    let verifier = CoreIdTokenVerifier::new_public_client(audience, issuer_url(), keys())
        .set_allowed_jose_types([jwt_type])
        .set_allowed_algs([CoreJwsSigningAlgorithm::EcdsaP256Sha256]);
    let any_nonce = |_: Option<&Nonce>| Ok(());
    let token = CoreIdToken::from_str(token).unwrap();
    Ok(token.claims(&verifier, any_nonce)?.subject().to_string())
}

/// The crate takes no provider metadata without an authorization endpoint. Until there is one, it says that it misses it.
#[test]
fn openidconnect_discovers_the_server_or_misses_only_the_authorization_endpoint() {
    let document: serde_json::Value = http()
        .get(url("/.well-known/openid-configuration"))
        .send()
        .unwrap()
        .json()
        .unwrap();
    let found = CoreProviderMetadata::discover(&issuer_url(), &http());
    if document.get("authorization_endpoint").is_some() {
        assert_eq!(found.unwrap().issuer(), &issuer_url());
    } else {
        let fault = format!("{:?}", found.unwrap_err());
        assert!(fault.contains("authorization_endpoint"), "{fault}");
    }
}

#[test]
fn openidconnect_gets_a_service_token_and_checks_it_against_the_published_keys() {
    assert_eq!(
        checked(&access_token(), "at+jwt", AUDIENCE).unwrap(),
        SERVICE
    );
}

#[test]
fn openidconnect_refuses_a_token_for_another_audience() {
    let refused = checked(&access_token(), "at+jwt", "https://elsewhere.example").unwrap_err();
    assert!(
        matches!(refused, ClaimsVerificationError::InvalidAudience(_)),
        "{refused:?}"
    );
}

/// The `typ` of RFC 9068 keeps an access token from being taken for an ID token.
#[test]
fn openidconnect_takes_no_access_token_for_an_id_token() {
    let refused = checked(&access_token(), "JWT", AUDIENCE).unwrap_err();
    assert!(
        matches!(&refused, ClaimsVerificationError::Unsupported(why) if why.contains("at+jwt")),
        "{refused:?}"
    );
}

#[test]
fn openidconnect_names_the_error_of_a_wrong_secret() {
    let client = service("wrong");
    let Err(RequestTokenError::ServerResponse(refusal)) =
        client.exchange_client_credentials().request(&http())
    else {
        panic!("not a refusal of the server")
    };
    assert_eq!(refusal.error(), &CoreErrorResponseType::InvalidClient);
    assert!(refusal.error_description().is_some());
}
