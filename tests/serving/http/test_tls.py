"""TLS by setting, with real handshakes: both services, what a client may not do, files that are refused."""

import json
import os
import socket
import ssl
import subprocess
import sys
import warnings
from pathlib import Path

import httpx
import pytest

from foretwin.errors import ParamsError
from foretwin.serving.http.tls import TlsFiles
from foretwin.serving.http.uvicorn_settings import uvicorn_settings
from foretwin.twin.simulator.processes import free_port
from foretwin.twin.store import open_store
from support.certificate import self_signed
from support.live_project import live, living_project
from support.served import wait_until_ready
from support.tiny_bundle import environment

pytestmark = pytest.mark.dated


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def trusting(files) -> ssl.SSLContext:
    """What a client needs that trusts the certificate."""
    return ssl.create_default_context(cafile=files["FORETWIN_TLS_CERT"])


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    return living_project(tmp_path_factory.mktemp("plant"))


def test_the_scoring_service_speaks_tls(project, files, trusting):
    port, log = free_port(), project / "service.log"
    own = {"FORETWIN_PROJECT": str(project), "FORETWIN_PORT": str(port), "FORETWIN_ACCESS": "open"}
    with log.open("ab") as out:
        command = [sys.executable, "-m", "foretwin.serving"]
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment(project, **own, **files))
    try:
        url = f"https://127.0.0.1:{port}"
        with httpx.Client(base_url=url, verify=trusting, trust_env=False, timeout=20) as client:
            wait_until_ready(client, process, log)
            assert client.get("/v1/models").status_code == 200
            # Refused before its body has come: the refusal is heard, though TLS cannot end one direction alone.
            early = client.post("/v1/score", content=b"x" * 9_000_000, headers={"Content-Type": "application/json"})
            assert early.status_code == 413
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def living(project, files, trusting, monkeypatch):
    """The address of `foretwin live` with TLS."""
    for name, value in files.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SSL_CERT_FILE", files["FORETWIN_TLS_CERT"])
    store = open_store(f"sqlite:///{project}/twins.db")
    with live(store, project) as client:
        yield client.base_url
    store.close()


def test_the_living_twin_speaks_tls_and_nothing_older_than_1_2(living, trusting):
    assert living.scheme == "https"
    with httpx.Client(base_url=living, verify=trusting, trust_env=False) as client:
        assert json.loads(client.get("/v1/twins").content)["items"] == []
    address = (living.host, living.port)
    with trusting.wrap_socket(socket.create_connection(address), server_hostname=living.host) as wire:
        assert wire.version() == "TLSv1.3"
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(address) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)protocol|handshake|closed"),
    ):
        old.wrap_socket(plain)
    other = self_signed(Path(os.environ["FORETWIN_TLS_CERT"]).parent, "other")
    stranger = ssl.create_default_context(cafile=other["FORETWIN_TLS_CERT"])
    with socket.create_connection(address) as plain, pytest.raises(ssl.SSLCertVerificationError):
        stranger.wrap_socket(plain, server_hostname=living.host)


def test_files_that_cannot_serve_are_refused_by_name(files, tmp_path):
    assert TlsFiles.from_env({}) is None
    with pytest.raises(ParamsError, match="FORETWIN_TLS_KEY: is missing"):
        uvicorn_settings(None, {"FORETWIN_TLS_CERT": files["FORETWIN_TLS_CERT"]})
    other = self_signed(tmp_path)
    with pytest.raises(ParamsError, match="no certificate with its private key"):
        TlsFiles.from_env(files | {"FORETWIN_TLS_KEY": other["FORETWIN_TLS_KEY"]})
    with pytest.raises(ParamsError, match="No such file"):
        TlsFiles.from_env(files | {"FORETWIN_TLS_KEY": str(tmp_path / "none")})
    Path(other["FORETWIN_TLS_KEY"]).chmod(0o644)
    with pytest.raises(ParamsError, match="everybody on this machine may read"):
        TlsFiles.from_env(other)
