"""Authlib as a client (requests and httpx), as a checker of our metadata, and PyJWT as a resource server's checker."""

import asyncio

import jwt
import pytest
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata


def session(service, method, **more):
    return OAuth2Session(
        service.client_id, service.client_secret, scope=service.scope, token_endpoint_auth_method=method, **more
    )


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_gets_and_uses_a_service_token(server, service, group_id, method):
    with session(service, method) as client:
        token = client.fetch_token(server.token_url, grant_type="client_credentials")
        assert token["token_type"] == "Bearer"
        assert token["expires_in"] == 900
        assert set(token["scope"].split()) == set(service.scope.split())
        group = client.get(f"{server.url}/api/auth/groups/{group_id}")
        assert group.status_code == 200
        assert group.json()["name"] == "E2E Test Group"
        members = client.get(f"{server.url}/api/auth/groups/{group_id}/members")
        assert {"alice.admin@example.com", "bob@example.com"} == {m["email"] for m in members.json()["members"]}


def test_authlib_fetches_a_new_service_token_by_itself_when_the_old_one_has_expired(server, service, group_id):
    settings = {"token_endpoint": server.token_url, "grant_type": "client_credentials"}
    with session(service, "client_secret_basic", **settings) as client:
        first = client.fetch_token(server.token_url, grant_type="client_credentials")
        client.token = {**first, "expires_at": 1}
        assert client.get(f"{server.url}/api/auth/groups/{group_id}").status_code == 200
        assert client.token["access_token"] != first["access_token"]


def test_authlib_on_httpx_gets_and_uses_a_service_token(server, service, group_id):
    async def scenario():
        async with AsyncOAuth2Client(service.client_id, service.client_secret, scope=service.scope) as client:
            await client.fetch_token(server.token_url, grant_type="client_credentials")
            return await client.get(f"{server.url}/api/auth/groups/{group_id}")

    assert asyncio.run(scenario()).status_code == 200


def test_authlib_names_the_error_of_a_wrong_secret(server, service):
    with OAuth2Session(service.client_id, "wrong", scope=service.scope) as client:
        with pytest.raises(OAuthError) as refusal:
            client.fetch_token(server.token_url, grant_type="client_credentials")
    assert refusal.value.error == "invalid_client"


def test_authlib_names_the_error_of_a_scope_the_client_was_not_given(server, service):
    with OAuth2Session(service.client_id, service.client_secret, scope="groups:admin") as client:
        with pytest.raises(OAuthError) as refusal:
            client.fetch_token(server.token_url, grant_type="client_credentials")
    assert refusal.value.error == "invalid_scope"


# Without an authorization endpoint a server has nothing to say under these names (RFC 8414 section 2, OpenID Connect
# Discovery section 3), though both documents call them required.
OF_THE_AUTHORIZATION_ENDPOINT = {
    "authorization_endpoint",
    "response_types_supported",
    "id_token_signing_alg_values_supported",
}


def faults(metadata):
    """The fields Authlib finds fault with, and why."""
    found = {}
    for field in metadata.REGISTRY_KEYS:
        try:
            getattr(type(metadata), f"validate_{field}")(metadata)
        except ValueError as fault:
            found[field] = str(fault)
    return found


@pytest.mark.parametrize(
    ("path", "kind"),
    [("oauth-authorization-server", AuthorizationServerMetadata), ("openid-configuration", OpenIDProviderMetadata)],
)
def test_authlib_finds_no_fault_with_a_metadata_document(server, monkeypatch, path, kind):
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    document = requests.get(f"{server.url}/.well-known/{path}", timeout=10).json()
    assert (document["issuer"], document["token_endpoint"]) == (server.url, server.token_url)
    excused = set() if "authorization_endpoint" in document else OF_THE_AUTHORIZATION_ENDPOINT
    assert {field: why for field, why in faults(kind(document)).items() if field not in excused} == {}


def test_pyjwt_checks_a_service_token_against_the_published_keys(server, service):
    with session(service, "client_secret_basic") as client:
        token = client.fetch_token(server.token_url, grant_type="client_credentials")["access_token"]
    metadata = requests.get(f"{server.url}/.well-known/oauth-authorization-server", timeout=10).json()
    key = jwt.PyJWKClient(metadata["jwks_uri"]).get_signing_key_from_jwt(token)
    claims = jwt.decode(
        token,
        key.key,
        algorithms=["ES256"],
        issuer=server.url,
        audience="https://api.activity.com",
        options={"require": ["iss", "sub", "aud", "iat", "exp", "jti"]},
    )
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    assert claims["sub"] == claims["client_id"] == service.client_id
    assert claims["type"] == "access"
    assert isinstance(claims["aud"], list)
    assert set(claims["scope"].split()) == set(service.scope.split())
