"""A session with a server: security policy and certificates, user, and the end of the connection as an event."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from asyncua import Client, ua
from asyncua.crypto import security_policies, uacrypto
from cryptography import x509

from foretwin.errors import BrokerError
from foretwin.twin.connectors.connections.connections_file import Peer

ANSWER = 4.0  # s that the server may take for an answer
PROBE = 3.0  # s between two looks whether the server is there
SESSION = 60_000  # ms that it keeps a session of which nothing is heard
REFUSED = (
    ua.UaStatusCodeError,
    ua.UaError,
)
PASSING = ("Timeout", "Shutdown", "TooMany", "ServerHalted", "CommunicationError", "ConnectionClosed", "NotConnected")


@asynccontextmanager
async def opened_session(peer: Peer) -> AsyncIterator[tuple[Client, asyncio.Event]]:
    """Connect, and disconnect at the end; the event is set once the connection is lost.

    BrokerError where the server refuses us for good, OSError or TimeoutError where it cannot be reached.
    """
    client = Client(peer.settings.url, timeout=ANSWER, watchdog_intervall=PROBE)
    client.session_timeout = SESSION
    client.name = client.description = "Foretwin"
    lost = asyncio.Event()

    async def note(_: Exception) -> None:
        lost.set()

    client.connection_lost_callback = note
    try:
        await _secure(client, peer)
        await asyncio.wait_for(client.connect(), 3 * ANSWER)
    except TimeoutError:
        trusted = "; is security.server_certificate its own?" if peer.settings.security else ""
        raise OSError(f"the server does not answer{trusted}") from None
    except REFUSED as error:
        reason = type(error).__name__
        if any(word in reason for word in PASSING):
            raise OSError(f"the server is not ready: {reason}") from None
        advice = "correct user, certificate and policy, or let the server trust our certificate"
        raise BrokerError(f"{peer.settings.url}: the server refuses: {reason}; {advice}") from None
    try:
        yield client, lost
    finally:
        with suppress(Exception):  # it may be gone
            await asyncio.wait_for(client.disconnect(), ANSWER)


async def _secure(client: Client, peer: Peer) -> None:
    settings = peer.settings
    if settings.security is None:
        return
    ours, key, theirs = (
        peer.root / name
        for name in (settings.security.certificate, settings.security.private_key, settings.security.server_certificate)
    )
    try:
        certificate = await uacrypto.load_certificate(ours)
        client.application_uri = _application_uri(certificate, client.application_uri)
        policy = getattr(security_policies, f"SecurityPolicy{settings.security.policy}")
        await client.set_security(policy, str(ours), str(key), server_certificate=str(theirs))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BrokerError(f"{peer.name}: security: {reason}: {ours}, {key} or {theirs}; correct the file") from None
    if settings.user is not None:
        client.set_user(settings.user)
        client.set_password(peer.password() or "")


def _application_uri(certificate: x509.Certificate, otherwise: str) -> str:
    """Return the URI that our certificate is for: a server compares it with what we call ourselves."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return otherwise
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return str(uris[0]) if uris else otherwise
