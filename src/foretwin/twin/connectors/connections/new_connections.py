"""Connections that are set up while others are listened to: those of a connections.yaml that has changed."""

import logging
from collections.abc import Sequence
from pathlib import Path

from foretwin.errors import ConnectionsError
from foretwin.project.contracts import RunningContracts
from foretwin.twin.connectors.connections.connections_file import Peer, load_connections

logger = logging.getLogger("foretwin.listening")


class NewConnections:
    """Gives each connection that was added to the file once, when its twin counts; those that change stay as they are.

    `path` is None where only contracts are to be taken up. Meant for one thread.
    """

    def __init__(self, path: Path | None, contracts: RunningContracts, known: Sequence[Peer]) -> None:
        self._path, self._contracts = path, contracts
        self._known = {peer.name for peer in known}
        self._seen = self._stamp()

    def __call__(self) -> Sequence[Peer]:
        """Take up contracts that were added, and return the connections that were; a file that is wrong is logged."""
        self._contracts.renew()
        stamp = self._stamp()
        if self._path is None or stamp == self._seen:
            return ()
        self._seen = stamp
        try:
            found = load_connections(self._path, self._contracts)
        except ConnectionsError as error:
            logger.error("%s; no connection is taken up before that is corrected", error)
            return ()
        new = [peer for peer in found if peer.name not in self._known]
        self._known |= {peer.name for peer in new}
        for peer in new:
            logger.info("%s: a new connection", peer.name)
        return new

    def _stamp(self) -> tuple[int, int, int]:
        """Return what changes with the file, and with the contracts that it is held against."""
        try:
            found = self._path.stat() if self._path else None
        except OSError:
            found = None
        return (found.st_mtime_ns, found.st_ino, len(self._contracts)) if found else (0, 0, len(self._contracts))
