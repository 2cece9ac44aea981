"""The built server, started once on a free port with its demo data, and what the demo banner tells a person."""

import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Server:
    url: str

    @property
    def token_url(self):
        return f"{self.url}/oauth/token"


@dataclass(frozen=True)
class Service:
    client_id: str = "chat-api-service"
    client_secret: str = "your-service-secret-change-in-production"
    scope: str = "groups:read members:read"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_ready(url, process, log):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if requests.get(f"{url}/ready", timeout=2).ok:
                return
        except requests.ConnectionError:
            pass
        if process.poll() is not None:
            break
        time.sleep(0.02)
    pytest.exit(f"the server did not get ready on {url}:\n{log.read_text()}", returncode=1)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    binary = os.environ.get("TOKENSMITH_BIN", str(ROOT / "target/debug/tokensmith"))
    if not Path(binary).exists():
        pytest.exit(f"{binary} is not built: run scripts/interop, or cargo build first", returncode=1)
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    log = folder / "log"
    with log.open("w") as output:
        command = [binary, "dev", "--port", str(port), "--data", str(folder / "data")]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        server = Server(f"http://localhost:{port}")
        wait_until_ready(server.url, process, log)
        yield server
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def service():
    return Service()


@pytest.fixture(scope="session")
def alice(server):
    """Alice's login answer, in an older client's spelling."""
    body = {"email": "alice.admin@example.com", "password": PASSWORD}
    answer = requests.post(f"{server.url}/auth/login", json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="session")
def group_id(server, alice):
    """The id of `E2E Test Group`, found as Alice."""
    headers = {"Authorization": f"Bearer {alice['access_token']}"}
    url = f"{server.url}/api/auth/organizations/{alice['org_id']}/groups"
    answer = requests.get(url, headers=headers, timeout=10)
    assert answer.status_code == 200, answer.text
    groups = answer.json()["groups"]
    return next(group["id"] for group in groups if group["name"] == "E2E Test Group")
