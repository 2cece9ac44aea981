"""requests-oauthlib as a client, as its documentation says to use it for a backend application."""

import pytest
from oauthlib.oauth2 import BackendApplicationClient
from oauthlib.oauth2.rfc6749.errors import InvalidClientError
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session


@pytest.fixture(autouse=True)
def plain_http(monkeypatch):
    """The server stands on loopback without TLS; oauthlib wants to be told."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.fixture
def client(service):
    application = BackendApplicationClient(client_id=service.client_id, scope=service.scope.split())
    with OAuth2Session(client=application) as session:
        yield session


def test_requests_oauthlib_gets_and_uses_a_service_token_with_basic_authentication(server, service, group_id, client):
    token = client.fetch_token(server.token_url, auth=HTTPBasicAuth(service.client_id, service.client_secret))
    assert set(token["scope"]) == set(service.scope.split())
    assert client.get(f"{server.url}/api/auth/groups/{group_id}").json()["id"] == group_id


def test_requests_oauthlib_gets_and_uses_a_service_token_with_the_secret_in_the_body(server, service, group_id, client):
    client.fetch_token(server.token_url, client_secret=service.client_secret, include_client_id=True)
    assert client.get(f"{server.url}/api/auth/groups/{group_id}/members").status_code == 200


def test_requests_oauthlib_names_the_error_of_a_wrong_secret(server, service, client):
    with pytest.raises(InvalidClientError):
        client.fetch_token(server.token_url, auth=HTTPBasicAuth(service.client_id, "wrong"))
