"""Authlib on what happens to a token later: renewal, introspection, revocation."""

import pytest
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from conftest import PASSWORD

# The public client under which the server's own sign-in issues tokens.
ACCOUNT_CLIENT = "tokensmith-account"


@pytest.fixture
def account(server):
    with OAuth2Session(ACCOUNT_CLIENT, token_endpoint_auth_method="none") as client:
        yield client


@pytest.fixture
def refresh_token(server):
    body = {"email": "bob@example.com", "password": PASSWORD}
    answer = requests.post(f"{server.url}/auth/login", json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()["refresh_token"]


@pytest.fixture
def client(service):
    with OAuth2Session(service.client_id, service.client_secret, scope=service.scope) as client:
        yield client


def test_authlib_renews_the_tokens_of_a_sign_in(server, account, refresh_token):
    renewed = account.refresh_token(server.token_url, refresh_token=refresh_token)
    assert renewed["refresh_token"] != refresh_token
    again = account.refresh_token(server.token_url, refresh_token=renewed["refresh_token"])
    assert again["refresh_token"] != renewed["refresh_token"]


def test_authlib_narrows_the_scope_when_it_renews(server, account, refresh_token):
    renewed = account.refresh_token(server.token_url, refresh_token=refresh_token, scope="openid")
    assert renewed["scope"] == "openid"


def test_authlib_names_the_error_of_a_refresh_token_that_is_none(server, account):
    with pytest.raises(OAuthError) as refusal:
        account.refresh_token(server.token_url, refresh_token="nonsense")
    assert refusal.value.error == "invalid_grant"
    assert refusal.value.description


def test_authlib_names_the_error_of_a_revoked_refresh_token(server, account, refresh_token):
    answer = account.revoke_token(f"{server.url}/oauth/revoke", refresh_token, "refresh_token")
    assert answer.status_code == 200
    with pytest.raises(OAuthError) as refusal:
        account.refresh_token(server.token_url, refresh_token=refresh_token)
    assert refusal.value.error == "invalid_grant"


def test_authlib_introspects_a_token_revokes_it_and_introspects_it_again(server, service, client):
    token = client.fetch_token(server.token_url, grant_type="client_credentials")["access_token"]

    def introspect():
        return client.introspect_token(f"{server.url}/oauth/introspect", token, "access_token").json()

    live = introspect()
    assert (live["active"], live["client_id"]) == (True, service.client_id)
    assert client.revoke_token(f"{server.url}/oauth/revoke", token, "access_token").status_code == 200
    assert introspect() == {"active": False}


def test_authlib_shows_that_a_wrong_secret_may_not_introspect(server, service):
    with OAuth2Session(service.client_id, "wrong") as client:
        answer = client.introspect_token(f"{server.url}/oauth/introspect", "anything")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
