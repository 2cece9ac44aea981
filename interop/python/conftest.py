"""The built server, started once on a free port with its demo data, and what the demo banner tells a person."""

import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TOKENSMITH_BIN", str(ROOT / "target/debug/tokensmith"))
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Server:
    url: str
    data: Path

    @property
    def token_url(self):
        return f"{self.url}/oauth/token"

    def register(self, client_id, metadata, *options, secret=None):
        """Registers a client by the command line, with further metadata (RFC 7591), a secret of its own, and options."""
        file = self.data / f"{client_id}.json"
        file.write_text(json.dumps(metadata))
        command = [BINARY, "client", "create", client_id, "--data", self.data, "--metadata", file, *options]
        command += ["--secret-stdin"] if secret else []
        subprocess.run(command, check=True, input=(secret or "").encode(), stdout=subprocess.DEVNULL)


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
    if not Path(BINARY).exists():
        pytest.exit(f"{BINARY} is not built: run scripts/interop, or cargo build first", returncode=1)
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    log = folder / "log"
    with log.open("w") as output:
        command = [BINARY, "dev", "--port", str(port), "--data", str(folder / "data")]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        server = Server(f"http://localhost:{port}", folder / "data")
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
