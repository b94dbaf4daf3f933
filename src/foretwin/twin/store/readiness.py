"""Whether the store takes writes now: tried, not assumed, since a store that can be read may have no room for more.

And what there is before one is opened, which would make or migrate it.
"""

import os
import sqlite3
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from foretwin.errors import StoreAway, StoreError
from foretwin.twin.store.database import MIGRATIONS, Store, parse_store_url

EVERY = 5.0  # seconds between two tries, however many ask
LONGEST = 5.0  # seconds for one
ROOM = 1024 * 1024  # bytes that must be free
WRITTEN = "UPDATE alembic_version SET version_num = version_num"
# The rows do not fit into the memory that they may take, so that PostgreSQL writes them to its disk and removes them.
SPILLED = ("SET LOCAL work_mem = '64kB'", "SELECT count(*) FROM generate_series(1, 40000)")


@dataclass(frozen=True)
class StoreSchema:
    """What lies under a store's URL: `present` is None where there is nothing yet, `clock` that of a PostgreSQL."""

    name: str
    present: str | None
    head: str
    is_known: bool  # this version of Foretwin can migrate it
    clock: datetime | None = None


def inspect_store(url: str) -> StoreSchema:
    """Read which schema a store has, without making or migrating it; StoreError where the URL is none, StoreAway."""
    place = parse_store_url(url)
    name, scripts = place.render_as_string(hide_password=True), ScriptDirectory(str(MIGRATIONS))
    head = str(scripts.get_current_head())
    if place.get_backend_name() == "sqlite" and not Path(place.database or "").is_file():
        return StoreSchema(name, None, head, is_known=True)
    engine = create_engine(place)
    try:
        with engine.connect() as connection:
            present = MigrationContext.configure(connection).get_current_revision()
            now = connection.execute(text("SELECT now()")).scalar() if engine.dialect.name == "postgresql" else None
    except DBAPIError as error:
        raise StoreAway(f"{name}: {' '.join(str(error.orig).split())}; start it, or correct FORETWIN_STORE") from None
    finally:
        engine.dispose()
    known = present is None or present in {script.revision for script in scripts.walk_revisions()}
    return StoreSchema(name, present, head, known, now.astimezone(UTC) if now else None)


class Readiness:
    """What the last try said. Any number of threads may ask; one of them tries, and none waits for it for long."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._trying = threading.Lock()
        self._begun = self._ended = float("-inf")
        self._failure: str | None = None

    def check(self) -> None:
        """Return where the store takes writes; StoreAway says why it does not."""
        first = self._ended == float("-inf")
        if self._trying.acquire(timeout=LONGEST if first else 0):
            try:
                if time.monotonic() - self._ended >= EVERY:
                    self._begun = time.monotonic()
                    self._failure = _failure(self._store)
                    self._ended = time.monotonic()
            finally:
                self._trying.release()
        elif time.monotonic() - self._begun > LONGEST:
            raise StoreAway(f"{self._store.name}: a small write has not ended for {LONGEST:g} seconds")
        if self._failure:
            raise StoreAway(self._failure)


def _failure(store: Store) -> str | None:
    """Write a little; what went wrong, with what to do about it."""
    try:
        if store.is_sqlite:
            _write_sqlite(store)
        else:
            _write_postgresql(store)
    except (StoreError, StoreAway) as error:
        return str(error)
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return f"{store.name}: {reason}: free some space there, or give the process the right to write"
    return None


def _write_sqlite(store: Store) -> None:
    """Take some room beside the database and give it back; commit, unless somebody is just writing, who shows as much.

    The room counts: a write-ahead log that is there already takes a small write on a full disk too.
    """
    path = store.engine.url.database
    if not path:
        return
    with tempfile.TemporaryFile(dir=Path(path).parent) as file:
        os.posix_fallocate(file.fileno(), 0, ROOM)
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute(WRITTEN)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise


def _write_postgresql(store: Store) -> None:
    with store.write() as connection:
        for statement in (WRITTEN, *SPILLED):
            connection.exec_driver_sql(statement)
