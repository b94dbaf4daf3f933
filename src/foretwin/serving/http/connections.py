"""Open connections: how many there may be, in all and of one address, and which one gives way to a new one.

A connection *waits* while its client has something to do: send a request, read an answer. One whose call is being
answered does not, and is never closed for another. Of those that wait, the one that began first gives way: a caller who
sends a request at once is through long before it is its turn, while slow ones go round. Connections on which a key was
accepted come last.
"""

import ipaddress
import logging
import resource
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from foretwin.project.settings import SETTINGS, read_number

# Keys of an ASGI scope: what to call once the caller has shown a key that counts, and before a stream is answered.
KNOWN, STREAM = "foretwin.known", "foretwin.stream"
FILES = 128  # descriptors that are kept for the store and other files
BACKLOG = 512  # connections that may wait to be accepted; all that do may be accepted before one has given way
STREAMS = 10  # connections to one stream, of those that there may be in all and of one address
TOLD_EVERY = 60.0  # seconds
GIVEN_SUBNET = 64  # bits of an IPv6 address that name a site, which may use any of the others

logger = logging.getLogger("foretwin.http")


@dataclass(frozen=True)
class ConnectionLimits:
    """How many connections there may be; `backlog` is how many may wait to be accepted.

    Streams of events, which last, are counted apart: a tenth as many.
    """

    total: int = int(SETTINGS["FORETWIN_MAX_CONNECTIONS"].default)
    per_address: int = int(SETTINGS["FORETWIN_MAX_CONNECTIONS_PER_ADDRESS"].default)
    backlog: int = BACKLOG

    @property
    def streams(self) -> int:
        """How many streams there may be beside the other connections."""
        return max(1, self.total // STREAMS)

    @property
    def streams_per_address(self) -> int:
        """How many of them of one address."""
        return max(1, self.per_address // STREAMS)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read FORETWIN_MAX_CONNECTIONS and FORETWIN_MAX_CONNECTIONS_PER_ADDRESS; ParamsError unless positive.

        Together they stay below the number of files that the process may open, so that it can always open some.
        """
        asked = read_number("FORETWIN_MAX_CONNECTIONS", environ)
        each = read_number("FORETWIN_MAX_CONNECTIONS_PER_ADDRESS", environ)
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files == resource.RLIM_INFINITY:
            return cls(asked, min(each, asked), cls.backlog)
        backlog, kept = min(BACKLOG, files // 4), min(FILES, files // 4)
        total = min(asked, (files - backlog - kept) * STREAMS // (STREAMS + 1))
        return cls(total, min(each, max(1, total // 2)) if total < asked else min(each, total), backlog)


class Group:
    """Connections under one limit, with those that wait in the order in which they began to."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0
        self.strangers: OrderedDict[Place, None] = OrderedDict()
        self.known: OrderedDict[Place, None] = OrderedDict()

    @property
    def is_full(self) -> bool:
        """Whether as many are there as may be."""
        return self.count >= self.most

    def has_room(self) -> bool:
        """Whether one more may come, for which another one may have to go."""
        if not self.is_full:
            return True
        last = next(iter(self.strangers), None) or next(iter(self.known), None)
        if last is None:
            return False
        last.leave()
        last.give_way()
        return True


class Place:
    """What one connection takes up; `give_way` closes it at once."""

    def __init__(
        self,
        groups: tuple[Group, ...],
        give_way: Callable[[], None],
        left: Callable[[], None],
        streams: "Callable[[Place, str], bool]",
    ) -> None:
        """Enter the groups, waiting; `left` is called after it has left them, `streams` counts it as a stream."""
        self.give_way = give_way
        self.end_stream = _nothing  # where its answer is a stream: what ends that
        self._streams = streams
        self._groups = groups
        self._left = left
        self._known = False
        self._waits = False
        for group in groups:
            group.count += 1
        self.wait()

    def wait(self) -> None:
        """Begin to wait for the client, behind all who wait already."""
        self._leave_queue()
        self._waits = True
        for group in self._groups:
            (group.known if self._known else group.strangers)[self] = None

    def work(self) -> None:
        """Wait no longer: the call is being answered."""
        self._leave_queue()

    def recognise(self) -> None:
        """Prefer this connection to those on which no key was accepted."""
        if self._known:
            return
        waited = self._waits
        self._leave_queue()
        self._known = True
        if waited:
            self.wait()

    def stream(self, end: Callable[[], None], client: str) -> bool:
        """Count as a stream of this client from now on, which `end` ends; False where there are as many as may be."""
        if not self._streams(self, client):
            return False
        self.end_stream = end
        return True

    def move(self, groups: tuple[Group, ...], left: Callable[[], None]) -> None:
        """Leave the groups for others, in which it does not wait."""
        self.leave()
        self._groups, self._left = groups, left
        for group in groups:
            group.count += 1

    def leave(self) -> None:
        """Make room; a second time does nothing."""
        self._leave_queue()
        for group in self._groups:
            group.count -= 1
        self._groups = ()
        self._left()
        self._left = _nothing

    def forget(self) -> None:
        """Leave for good: nothing is closed for another any more."""
        self.leave()
        self.give_way = self.end_stream = _nothing

    def _leave_queue(self) -> None:
        for group in self._groups:
            (group.known if self._known else group.strangers).pop(self, None)
        self._waits = False


class Connections:
    """All connections of one server. Meant for one thread: that of the event loop."""

    def __init__(self, limits: ConnectionLimits, is_proxy: Callable[[str], bool] = lambda _: False) -> None:
        """`is_proxy` says of whose address many clients come: those are limited by call, not by connection."""
        self._limits = limits
        self._is_proxy = is_proxy
        self._all = Group(limits.total)
        self._by_site: dict[str, Group] = {}
        self._streams = Group(limits.streams)
        self._streams_by_site: dict[str, Group] = {}
        self._told = float("-inf")

    def enter(self, address: str, give_way: Callable[[], None]) -> Place | None:
        """Take in a connection from this address, for which the slowest may give way; None where none can."""
        if self._is_proxy(address):
            self._tell(self._all, address)
            return Place((self._all,), give_way, _nothing, self._stream) if self._all.has_room() else None
        site = site_of(address)
        group = self._by_site.get(site) or Group(self._limits.per_address)
        self._tell(group, site)
        if not group.has_room() or not self._all.has_room():
            return None
        self._by_site[site] = group  # again where its last connection has just given way
        return Place((self._all, group), give_way, lambda: _forget(self._by_site, site), self._stream)

    def _stream(self, place: Place, client: str) -> bool:
        """Count a connection as a stream; its client is whom a trusted proxy names, else who is connected."""
        site = site_of(client)
        group = self._streams_by_site.get(site) or Group(self._limits.streams_per_address)
        if group.is_full or self._streams.is_full:
            return False
        self._streams_by_site[site] = group
        place.move((self._streams, group), lambda: _forget(self._streams_by_site, site))
        return True

    def _tell(self, group: Group, site: str) -> None:
        """Log that a limit is reached, once a minute at most."""
        if group.is_full or self._all.is_full:
            now = time.monotonic()
            if now - self._told >= TOLD_EVERY:
                self._told = now
                seen = (
                    "%d connections, %d from %s: as many as may be; those that wait longest for their client are closed"
                )
                logger.warning(seen, self._all.count, group.count, site)


def _forget(groups: dict[str, Group], site: str) -> None:
    """Drop the group of a site that has no connection left."""
    group = groups.get(site)
    if group is not None and not group.count:
        del groups[site]


def _nothing() -> None:
    """Stands for what is not to be called any more."""


def recognise_caller(scope: MutableMapping[str, Any]) -> None:
    """Tell the connection of an ASGI scope that its caller has shown a key that counts."""
    told = scope.get(KNOWN)
    if told is not None:
        told()


@lru_cache(4096)
def site_of(address: str) -> str:
    """Return what one client has for itself: an IPv4 address, or the first half of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:60]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, GIVEN_SUBNET), strict=False))
