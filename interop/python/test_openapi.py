"""The document of the API, judged by a validator of other people."""

import json
import subprocess

import requests
from conftest import BINARY
from openapi_spec_validator import validate


def test_the_served_document_is_openapi_and_the_one_the_command_prints(server):
    served = requests.get(f"{server.url}/openapi.json", timeout=10).json()
    validate(served)
    printed = subprocess.run([BINARY, "openapi"], check=True, capture_output=True, text=True).stdout
    assert json.loads(printed) == served


def test_the_document_describes_what_is_answered(server, alice):
    served = requests.get(f"{server.url}/openapi.json", timeout=10).json()
    properties = served["components"]["schemas"]["UserTokens"]["properties"]
    assert set(alice) <= set(properties)
