"""No secret reaches a log line, of the services or of a command."""

import json
import logging

import pytest

from foretwin.cli.project import log_to_terminal
from foretwin.project.redaction import Redacted, redact
from foretwin.serving.http.logs import JsonFormatter

KEY = "ftw_" + "0a" * 6 + "_" + "b7" * 32
SECRETS = (
    KEY,
    "postgresql+psycopg://foretwin:b7b7b7b7@db.example.com/twins",
    "mqtts://gate:b7b7b7b7@broker:8883",
    "-----BEGIN PRIVATE KEY-----\nb7b7b7b7\n-----END PRIVATE KEY-----",
)


def record(secret):
    error = ValueError(f"cannot open {secret}")
    return logging.LogRecord("foretwin", logging.ERROR, "", 1, "asked with %s", (secret,), (ValueError, error, None))


@pytest.mark.parametrize("secret", SECRETS)
def test_a_line_of_a_service_holds_no_secret(secret):
    said = record(secret)
    said.header = secret
    line = Redacted(JsonFormatter(), {}).format(said)
    assert "b7b7" not in line
    assert {"message", "exception", "header"} <= set(json.loads(line))
    assert line.count("***") == 3


@pytest.mark.parametrize("secret", SECRETS)
def test_a_line_of_a_command_holds_no_secret(secret, monkeypatch):
    root = logging.Logger("root")
    monkeypatch.setattr(logging, "root", root)
    log_to_terminal()
    line = root.handlers[0].format(record(secret))
    assert "b7b7" not in line
    assert "***" in line


def test_what_is_no_secret_stays():
    text = "https://example.com/a:b@c ftw_ mqtt://gate@broker:1883 key ann (0a0a0a0a0a0a) made by bob"
    assert redact(text) == text
