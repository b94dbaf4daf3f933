"""No secret reaches the log, in whatever line it stands."""

import io
import json
import logging

import pytest

from foretwin.project.redaction import Redacted
from foretwin.serving.http.logs import JsonFormatter

ENVIRON = {
    "FORETWIN_MQTT_PASSWORD": 'pass"word-4711',
    "FORETWIN_WEBHOOK_SECRET": "whsec_c3dvcmRmaXNo",
    "FORETWIN_STORE": "postgresql://foretwin:p%40ss-4712@db/foretwin",
    "FORETWIN_WEBHOOKS": "https://erp.example.com/hook?token=t0ken-4713,https://other.example.com/hook",
    "FORETWIN_KEY": "abc",  # too short to be told from a word
}
KEY = "ftw_0123456789ab_" + "c0ffee" * 8


@pytest.fixture(params=[logging.Formatter("%(message)s"), JsonFormatter()], ids=["text", "json"])
def log(request):
    """(a logger, what it has written)."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(Redacted(request.param, ENVIRON))
    logger = logging.Logger("shop")
    logger.addHandler(handler)
    return logger, written


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ('the broker refuses pass"word-4711', "word-4711"),
        ("signed with whsec_c3dvcmRmaXNo", "c3dvcmRmaXNo"),
        ("postgresql://foretwin:p%40ss-4712@db/foretwin is away", "4712"),
        ("psycopg got password=p@ss-4712", "4712"),
        ("POST https://erp.example.com/hook?token=t0ken-4713 failed", "t0ken"),
        (f"Authorization: Bearer {KEY}", "c0ffee"),
    ],
)
def test_a_secret_in_a_line_is_hidden(log, line, secret):
    logger, written = log
    logger.warning("%s", line)
    assert secret not in written.getvalue()
    assert "***" in written.getvalue()


def test_a_secret_in_a_traceback_or_a_field_is_hidden(log):
    logger, written = log
    try:
        raise OSError("cannot open p@ss-4712")
    except OSError:
        logger.exception("no connection", extra={"target": "https://erp.example.com/hook?token=t0ken-4713"})
    assert "4712" not in written.getvalue()
    assert "t0ken" not in written.getvalue()


def test_what_is_no_secret_stays_as_it_is(log):
    logger, written = log
    logger.warning("abc of P-1 at https://erp.example.com/hook; key ftw_0123456789ab made")
    line = written.getvalue().strip()
    text = json.loads(line)["message"] if line.startswith("{") else line
    assert text == "abc of P-1 at https://erp.example.com/hook; key ftw_0123456789ab made"
