"""Authlib with token exchange (RFC 8693): a grant like any other to it."""

import jwt
import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
GATEWAY = ("python-gateway", "a secret of the tests, long enough")


@pytest.fixture(scope="module")
def gateway(server):
    rule = {
        "subject_clients": ["tokensmith-account"],
        "subject_audiences": ["https://api.activity.com"],
        "scope": "openid email",
    }
    options = ["--grant", GRANT, "--scope", "openid email"]
    server.register(GATEWAY[0], {"token_exchange": [rule]}, *options, secret=GATEWAY[1])
    with OAuth2Session(*GATEWAY) as client:
        yield client


def exchange(server, client, token, **more):
    parameters = {"subject_token": token, "subject_token_type": ACCESS_TOKEN, **more}
    return client.fetch_token(server.token_url, grant_type=GRANT, **parameters)


def test_authlib_exchanges_a_users_token_for_one_that_says_who_acts(server, gateway, alice):
    token = exchange(server, gateway, alice["access_token"])
    claims = jwt.decode(token["access_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["act"]["sub"]) == (alice["user_id"], GATEWAY[0])


def test_authlib_names_the_error_of_a_subject_token_that_is_none(server, gateway):
    with pytest.raises(OAuthError) as refusal:
        exchange(server, gateway, "nonsense")
    assert refusal.value.error == "invalid_request"
    assert "subject_token" in refusal.value.description


def test_authlib_names_the_error_of_a_scope_that_the_rule_does_not_give(server, gateway, alice):
    with pytest.raises(OAuthError) as refusal:
        exchange(server, gateway, alice["access_token"], scope="profile")
    assert refusal.value.error == "invalid_scope"
