//! `oauth2`: client_credentials, refresh, introspection, revocation.

use std::error::Error;

use oauth2::basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType};
use oauth2::{
    AccessToken, AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IntrospectionUrl, RefreshToken, RequestTokenError, RevocationUrl, Scope,
    StandardRevocableToken, SyncHttpClient, TokenIntrospectionResponse, TokenResponse, TokenUrl,
};

use crate::{ACCOUNT_CLIENT, SECRET, SERVICE, http, sign_in, url};

type Client = BasicClient<EndpointNotSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointSet>;

fn client(id: &str) -> Client {
    BasicClient::new(ClientId::new(id.into()))
        .set_token_uri(TokenUrl::new(url("/oauth/token")).unwrap())
        .set_introspection_url(IntrospectionUrl::new(url("/oauth/introspect")).unwrap())
        .set_revocation_url(
            RevocationUrl::new(url("/oauth/revoke").replace("http:", "https:")).unwrap(),
        )
}

fn service(secret: &str) -> Client {
    client(SERVICE).set_client_secret(ClientSecret::new(secret.into()))
}

fn account() -> Client {
    client(ACCOUNT_CLIENT).set_auth_type(AuthType::RequestBody)
}

fn access_token(client: &Client) -> AccessToken {
    let request = client
        .exchange_client_credentials()
        .add_scope(Scope::new("groups:read".into()));
    request.request(&http()).unwrap().access_token().clone()
}

/// RFC 7009 wants TLS and the crate refuses any other URL; what ends TLS in production stands here.
fn behind_tls(mut request: HttpRequest) -> Result<HttpResponse, impl Error> {
    let plain = request.uri().to_string().replacen("https:", "http:", 1);
    *request.uri_mut() = plain.parse().unwrap();
    SyncHttpClient::call(&http(), request)
}

fn refusal<E: Error + 'static>(
    error: RequestTokenError<E, BasicErrorResponse>,
) -> BasicErrorResponse {
    match error {
        RequestTokenError::ServerResponse(refusal) => refusal,
        other => panic!("not a refusal of the server: {other:?}"),
    }
}

#[test]
fn oauth2_gets_a_service_token_by_either_use_of_the_secret() {
    for method in [AuthType::BasicAuth, AuthType::RequestBody] {
        let scopes = ["groups:read", "members:read"].map(|scope| Scope::new(scope.into()));
        let client = service(SECRET).set_auth_type(method);
        let request = client
            .exchange_client_credentials()
            .add_scopes(scopes.clone());
        let token = request.request(&http()).unwrap();
        assert_eq!(token.expires_in().map(|life| life.as_secs()), Some(900));
        assert_eq!(token.scopes().map(Vec::as_slice), Some(&scopes[..]));
    }
}

#[test]
fn oauth2_names_the_error_of_a_wrong_secret() {
    let refused = service("wrong")
        .exchange_client_credentials()
        .request(&http());
    let refusal = refusal(refused.unwrap_err());
    assert_eq!(refusal.error(), &BasicErrorResponseType::InvalidClient);
    assert!(
        refusal
            .error_description()
            .unwrap()
            .contains("secret or assertion is wrong")
    );
}

#[test]
fn oauth2_names_the_error_of_a_scope_the_client_was_not_given() {
    let client = service(SECRET);
    let request = client
        .exchange_client_credentials()
        .add_scope(Scope::new("groups:admin".into()));
    let refusal = refusal(request.request(&http()).unwrap_err());
    assert_eq!(refusal.error(), &BasicErrorResponseType::InvalidScope);
}

#[test]
fn oauth2_introspects_a_token_revokes_it_and_introspects_it_again() {
    let client = service(SECRET);
    let token = access_token(&client);
    let live = client.introspect(&token).request(&http()).unwrap();
    assert!(live.active());
    assert_eq!(live.client_id().map(|id| id.as_str()), Some(SERVICE));
    let revocable = StandardRevocableToken::from(token.clone());
    client
        .revoke_token(revocable)
        .unwrap()
        .request(&behind_tls)
        .unwrap();
    assert!(!client.introspect(&token).request(&http()).unwrap().active());
}

#[test]
fn oauth2_hears_that_a_wrong_secret_may_not_introspect() {
    let token = AccessToken::new("anything".into());
    let refused = service("wrong").introspect(&token).request(&http());
    let refusal = refusal(refused.unwrap_err());
    assert_eq!(refusal.error(), &BasicErrorResponseType::InvalidClient);
}

#[test]
fn oauth2_renews_the_tokens_of_a_sign_in_until_they_are_revoked() {
    let first = RefreshToken::new(sign_in()["refresh_token"].as_str().unwrap().into());
    let renewed = account()
        .exchange_refresh_token(&first)
        .request(&http())
        .unwrap();
    let second = renewed.refresh_token().unwrap().clone();
    assert_ne!(first.secret(), second.secret());
    let revocable = StandardRevocableToken::from(second.clone());
    account()
        .revoke_token(revocable)
        .unwrap()
        .request(&behind_tls)
        .unwrap();
    let refused = account().exchange_refresh_token(&second).request(&http());
    let refusal = refusal(refused.unwrap_err());
    assert_eq!(refusal.error(), &BasicErrorResponseType::InvalidGrant);
    assert!(refusal.error_description().is_some());
}
