"""Authlib with private_key_jwt (RFC 7523). Left to itself it names the token endpoint as the audience and an hour as the
life; this server takes its issuer alone (RFC 7523bis) and a few minutes, so both are set by `claims`. Authlib keeps
the `jti` it made in those claims, so every request needs a `PrivateKeyJWT` of its own."""

import time

import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey

CLIENT_ID = "python-keyed"


@pytest.fixture(scope="module")
def key(server):
    key = ECKey.generate_key("P-256")
    metadata = {"jwks": {"keys": [key.as_dict(private=False)]}}
    server.register(CLIENT_ID, metadata, "--auth-method", "private_key_jwt", "--scope", "groups:read")
    return key


def fetch(server, key, claims):
    with OAuth2Session(CLIENT_ID, key, scope="groups:read", token_endpoint_auth_method="private_key_jwt") as client:
        client.register_client_auth_method(PrivateKeyJWT(server.token_url, claims=claims, alg="ES256"))
        return client.fetch_token(server.token_url, grant_type="client_credentials")


def wanted(server):
    return {"aud": server.url, "exp": int(time.time()) + 60}


def test_authlib_gets_a_service_token_with_an_assertion(server, key):
    assert fetch(server, key, wanted(server))["expires_in"] == 900
    assert fetch(server, key, wanted(server))["expires_in"] == 900


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda claims: claims.pop("aud"), "aud must be this server's issuer"),
        (lambda claims: claims.pop("exp"), "lives too long"),
    ],
    ids=["the token endpoint as audience", "a life of an hour"],
)
def test_authlib_shows_why_its_own_default_is_refused(server, key, change, sentence):
    claims = wanted(server)
    change(claims)
    with pytest.raises(OAuthError) as refusal:
        fetch(server, key, claims)
    assert refusal.value.error == "invalid_client"
    assert sentence in refusal.value.description


def test_authlib_shows_that_an_assertion_was_used_before(server, key):
    claims = wanted(server)
    fetch(server, key, claims)
    with pytest.raises(OAuthError) as refusal:
        fetch(server, key, claims)
    assert "used before" in refusal.value.description


def test_authlib_shows_that_a_signature_is_by_another_key(server, key):
    other = ECKey.generate_key("P-256")
    with pytest.raises(OAuthError) as refusal:
        fetch(server, other, wanted(server))
    assert refusal.value.error == "invalid_client"
