"""Service requests by e-mail, over SMTP."""

import logging
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from urllib.parse import urlsplit

from foretwin.twin.outbox.delivery_targets import TIMEOUT, DeliveryOutcome, Send
from foretwin.twin.outbox.routes.messages import as_plain_text, headline
from foretwin.twin.outbox.routes.routes_file import NamedRoute
from foretwin.twin.store.casework.events import Event

logger = logging.getLogger("foretwin.routes")

PORTS = {"smtp": 25, "smtps": 465}


def message_of(event: Event, route: NamedRoute) -> EmailMessage:
    """Return the mail about a service request.

    Its Message-ID is the event's: where it is sent again after a kill, mail systems that look at it show it once.
    """
    own, message = route.settings, EmailMessage()
    message["Subject"] = headline(event.data).replace("\n", " ").replace("\r", " ")
    message["From"] = formataddr(("Foretwin", own.sender or ""))
    message["To"] = ", ".join(own.mail or ())
    message["Date"] = format_datetime(event.at)
    message["Message-ID"] = f"<{event.id}@foretwin>"
    message["Auto-Submitted"] = "auto-generated"
    if event.data["severity"] == "urgent":
        message["Importance"] = "high"
    message.set_content(as_plain_text(event.data, event.data["links"]["case"]))
    return message


@contextmanager
def mails_sent(route: NamedRoute) -> Iterator[Send]:
    """Yield what sends an event; each mail has a connection of its own, since hours may lie between two."""
    yield lambda event: _send(route, event)


def _send(route: NamedRoute, event: Event) -> DeliveryOutcome:
    try:
        with _session(route) as session:
            refused = session.send_message(message_of(event, route))
        if refused:  # the others have it, and would have it twice
            logger.warning("%s: %s was refused by the mail server", route.name, ", ".join(refused))
    except (smtplib.SMTPServerDisconnected, OSError) as error:
        if isinstance(error, smtplib.SMTPResponseException):
            return DeliveryOutcome(f"answered {error.smtp_code} {_said(error.smtp_error)}")
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            return DeliveryOutcome(f"refuses {', '.join(error.recipients)}")
        return DeliveryOutcome(f"{type(error).__name__}: {error}", away=True)
    return DeliveryOutcome()


def _session(route: NamedRoute) -> smtplib.SMTP:
    """Return a session, encrypted where the server offers it; with a user it must be."""
    own, parts = route.settings, urlsplit(route.settings.url or "")
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    context = ssl.create_default_context()
    if parts.scheme == "smtps":
        session: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=context)
    else:
        session = smtplib.SMTP(host, port, timeout=TIMEOUT)
        session.ehlo()
        if session.has_extn("starttls"):
            session.starttls(context=context)
        elif own.user is not None:
            session.close()
            raise smtplib.SMTPNotSupportedError("offers no encryption, and a password would go over the wire in clear")
    if own.user is not None and own.password_from is not None:
        session.login(own.user, route.secret(own.password_from))
    return session


def _said(text: bytes | str) -> str:
    return text.decode(errors="replace") if isinstance(text, bytes) else text
