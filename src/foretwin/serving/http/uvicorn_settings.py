"""How both services run uvicorn: our protocol and log, proxies that are trusted, nothing told of the server."""

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from foretwin.errors import ParamsError
from foretwin.project.settings import read_number, read_setting
from foretwin.serving.http.calls_per_client import CallsPerClient
from foretwin.serving.http.connections import ConnectionLimits, Connections
from foretwin.serving.http.forwarded import ForwardedFor
from foretwin.serving.http.protocol import BoundedProtocol
from foretwin.serving.http.tls import TlsFiles

PROXIES = "FORETWIN_TRUSTED_PROXIES"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def open_listener(host: str, port: int, backlog: int) -> socket.socket:
    """Listen on an address, port 0 being a free one; OSError where that is impossible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers at once only where the socket names its protocol; else each waits 40 ms (Nagle).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def uvicorn_settings(app: ASGIApp, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return uvicorn's settings for an application; ParamsError where a variable of the environment is wrong.

    FORETWIN_PATIENCE is how many seconds a client may be silent; connections.ConnectionLimits has the limits.
    """
    proxies = trusted_proxies(environ)
    limits = ConnectionLimits.from_env(environ)
    connections = Connections(limits, lambda address: _is_among(address, proxies))
    tls = TlsFiles.from_env(environ)
    patience = float(read_number("FORETWIN_PATIENCE", environ))
    return {
        "app": _behind_proxies(app, proxies, limits) if proxies else app,
        "http": partial(BoundedProtocol, connections=connections, patience=patience),
        "ws": "none",
        "backlog": limits.backlog,
        "proxy_headers": False,  # that is done above, after `Forwarded` was read
        "log_config": None,
        "access_log": False,
        "server_header": False,
        **(tls.settings() if tls else {}),
    }


def _behind_proxies(app: ASGIApp, proxies: Sequence[Network], limits: ConnectionLimits) -> ASGIApp:
    """Return the application for clients whom proxies name."""
    per_client: Any = CallsPerClient(app, limits.per_address)
    named: Any = ProxyHeadersMiddleware(per_client, [str(network) for network in proxies])
    return ForwardedFor(named)


def trusted_proxies(environ: Mapping[str, str]) -> tuple[Network, ...]:
    """Return the networks of FORETWIN_TRUSTED_PROXIES; ParamsError where one is none."""
    found: list[Network] = []
    for text in filter(None, (part.strip() for part in read_setting(PROXIES, environ).split(","))):
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise ParamsError(f"{PROXIES}: {error}; name addresses or networks, separated by commas") from None
    return tuple(found)


def _is_among(address: str, networks: tuple[Network, ...]) -> bool:
    if not networks:
        return False
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)
