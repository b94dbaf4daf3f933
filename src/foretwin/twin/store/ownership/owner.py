"""Own partitions: each has one worker at a time, and one that dies or comes takes part at once.

A worker has a session of its own in PostgreSQL, whose advisory locks are its partitions and its presence. They end with
the session, however the worker ends; one that hangs, or whose host is gone, loses it after a while. Each worker knows
by the list of sessions how many partitions are its share: it lets go what is beyond, and takes what is free.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from foretwin.twin.store.database import Store, worded
from foretwin.twin.store.ownership.partitioning import Partition, Partitioning, read_partitioning

SILENCE_MS = 60_000  # after which a worker that says nothing is taken for dead
_LOCKS = (
    "FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid = "
)
SET = "SELECT set_config(name, %s, false) FROM pg_settings WHERE name = 'idle_session_timeout'"  # since version 14
COME = "SELECT pg_advisory_lock_shared(7090, 0)"
LOOK = f"""SELECT coalesce((SELECT count FROM partitioning), 1), coalesce((SELECT since FROM partitioning), 0),
    pg_backend_pid(), ARRAY(SELECT DISTINCT pid {_LOCKS} 7090 ORDER BY pid),
    ARRAY(SELECT objid::int4 {_LOCKS} 7089 AND pid = pg_backend_pid() ORDER BY 1),
    ARRAY(SELECT objid::int4 {_LOCKS} 7089)"""  # noqa: S608 - of constants alone
TAKE, LEAVE = "SELECT pg_try_advisory_lock(7089, %s)", "SELECT pg_advisory_unlock(7089, %s)"
LEAVE_ALL = "SELECT pg_advisory_unlock_all()"
HOLDS = f"SELECT EXISTS (SELECT {_LOCKS} 7089 AND objid = %s AND pid = pg_backend_pid())"


@dataclass
class PartitionOwner:
    """A worker's place among those of the store; of SQLite each worker owns the one partition, as ever."""

    store: Store
    _session: Connection | None = None

    def renew(self) -> tuple[Partition, ...]:
        """Take the worker's share as far as it is free, let go what is beyond it; return what it owns now.

        StoreAway where the store cannot be reached: what was owned may be another's by then.
        """
        if self.store.is_sqlite:
            with self.store.read() as connection:
                return read_partitioning(connection).all()
        with self._or_nothing():
            return self._share(self._reached())

    def holds(self, partition: Partition) -> bool:
        """Whether the worker still owns it: asked while it is locked, so that no other stores anything of it.

        StoreAway as `renew`.
        """
        if self.store.is_sqlite or self._session is None:
            return self.store.is_sqlite
        with self._or_nothing():
            return bool(self._session.exec_driver_sql(HOLDS, (partition.number,)).scalar())

    def close(self) -> None:
        """Let go all: another worker's next `renew` finds it free."""
        if self._session is not None:
            # The server ends a session some time after the client has left it.
            with suppress(DBAPIError):
                self._session.exec_driver_sql(LEAVE_ALL)
            self._end_session()

    def _end_session(self) -> None:
        if self._session is not None:
            with suppress(DBAPIError):
                self._session.close()
            self._session = None

    @contextmanager
    def _or_nothing(self) -> Iterator[None]:
        """Let go all where the session fails."""
        try:
            with worded(self.store.name):
                yield
        except BaseException:
            self._end_session()
            raise

    def _reached(self) -> Connection:
        if self._session is None:
            session = self.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            session.detach()  # closing it ends it
            self._session = session
            session.exec_driver_sql(SET, (str(SILENCE_MS),))
            session.exec_driver_sql(COME)
        return self._session

    def _share(self, session: Connection) -> tuple[Partition, ...]:
        count, since, me, workers, mine, taken = session.exec_driver_sql(LOOK).one()
        most = share_of(workers.index(me), len(workers), count)
        kept = [number for number in mine if number < count][:most]
        for number in set(mine) - set(kept):
            session.exec_driver_sql(LEAVE, (number,))
        for number in sorted(set(range(count)) - set(taken)):
            if len(kept) < most and _is_taken(session, number):
                kept.append(number)
        every = Partitioning(count, since).all()
        return tuple(every[number] for number in sorted(kept))


def share_of(rank: int, workers: int, partitions: int) -> int:
    """Return how many partitions the worker of that rank, from 0, is to own: they differ by one at most."""
    return partitions // workers + (rank < partitions % workers)


def _is_taken(session: Connection, number: int) -> Any:
    return session.exec_driver_sql(TAKE, (number,)).scalar()
