"""A session with a NATS server: address, user, TLS, and the end of the connection as an event."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from nats.aio.client import Client
from nats.errors import Error as NatsError

from foretwin.errors import BrokerError
from foretwin.twin.connectors.connections.connections_file import Peer

PROBE = 3  # s between two looks whether the server is there; one that it does not answer is enough
ANSWER = 5  # s that the server may take to accept us
LEAVING = 1  # s that it may take to say goodbye, before a loss is told
FILES = ("ca", "cert", "key")
REFUSALS = ("authorization violation", "authentication")


@asynccontextmanager
async def opened_server(peer: Peer) -> AsyncIterator[tuple[Client, asyncio.Event]]:
    """Connect, and disconnect at the end; the event is set once the connection is lost.

    BrokerError where the server refuses us for good, OSError where it cannot be reached.
    """
    client, lost, told = Client(), asyncio.Event(), list[str]()

    async def note_error(error: Exception) -> None:
        told.append(str(error))

    async def note_loss() -> None:
        lost.set()

    url, secure = server_address(peer)
    try:
        connecting = client.connect(
            url,
            name="foretwin",
            user=peer.settings.user,
            password=peer.password() if peer.settings.user else None,
            tls=secure,
            allow_reconnect=False,
            connect_timeout=ANSWER,
            ping_interval=PROBE,
            max_outstanding_pings=1,
            error_cb=note_error,
            disconnected_cb=note_loss,
            closed_cb=note_loss,
        )
        await _within(ANSWER, connecting)  # the client itself waits for the last answer without end
    except ssl.SSLCertVerificationError as error:
        raise BrokerError(
            f"{url}: no secure connection: {error.verify_message}: name its authority as ?ca=FILE"
        ) from None
    except (TimeoutError, NatsError, OSError) as error:
        why = "; ".join(dict.fromkeys([*told, str(error) or type(error).__name__]))
        if any(word in why.lower() for word in REFUSALS):
            raise BrokerError(f"{url}: the server refuses: {why}; correct user and password") from None
        raise OSError(f"the server cannot be reached: {why}") from None
    try:
        yield client, lost
    finally:
        if not lost.is_set():
            with suppress(Exception):  # it may be silent
                await _within(LEAVING, client.flush(1))
        with suppress(Exception):
            await _within(LEAVING, client.close())


async def _within(seconds: float, work: Coroutine[Any, Any, object]) -> None:
    """Await work for so long; TimeoutError beyond it, also where it does not end when it is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait((task,), timeout=seconds)
    finally:
        task.cancel()
    if not done:
        raise TimeoutError(f"no answer within {seconds:g} s")
    task.result()


def server_address(peer: Peer) -> tuple[str, ssl.SSLContext | None]:
    """Return the plain URL, and for tls:// the context; BrokerError where a file cannot be used."""
    parts = urlsplit(peer.settings.url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = [name for name in query if name not in FILES or parts.scheme != "tls"]
    if unknown or parts.path not in ("", "/"):
        what = unknown[0] if unknown else parts.path
        raise BrokerError(f"{peer.name}: url: {what} is not known; tls:// knows {', '.join(FILES)}, nats:// nothing")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    try:
        url = f"{parts.scheme}://{host}:{parts.port or 4222}"
    except ValueError as error:
        raise BrokerError(f"{peer.name}: url: {error}; write {parts.scheme}://host:4222") from None
    if parts.scheme != "tls":
        return url, None
    files = {name: str(peer.root / file) for name, file in query.items()}
    try:
        context = ssl.create_default_context(cafile=files.get("ca"))
        if "cert" in files:
            context.load_cert_chain(files["cert"], files.get("key"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise BrokerError(f"{peer.name}: url: {', '.join(files.values())}: no usable certificate: {reason}") from None
    return url, context
