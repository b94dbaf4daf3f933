"""Signatures of what is sent: Standard Webhooks 1.0.0."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from foretwin.errors import BadInput
from foretwin.project.settings import read_setting

SECRET = "FORETWIN_WEBHOOK_SECRET"  # noqa: S105 - the name of the variable


def webhook_signature(secret: bytes, event_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """Return the headers of Standard Webhooks 1.0.0, symmetric (v1): sender, moment and content."""
    timestamp = str(int(now.timestamp()))
    digest = hmac.digest(secret, b".".join((event_id.encode(), timestamp.encode(), body)), hashlib.sha256)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def webhook_secret(environ: Mapping[str, str]) -> bytes:
    """Return the secret that signs; empty where it is not set. BadInput for one that is no base64 after whsec_."""
    text = read_setting(SECRET, environ).strip()
    if not text.startswith("whsec_"):
        return text.encode()
    encoded = text.removeprefix("whsec_")
    try:  # the padding may be left out, as the standard's own libraries do
        secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        secret = b""
    if not secret:
        raise BadInput(SECRET, "begins with whsec_, but what follows is not base64")
    return secret
