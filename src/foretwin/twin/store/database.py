"""Open the store: engine, schema version, transactions, and one class of error for whatever fails below."""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from foretwin.errors import StoreAway, StoreError
from foretwin.project.files import make_private
from foretwin.project.settings import read_setting
from foretwin.twin.store import archive_tables  # noqa: F401 - so that the metadata have them
from foretwin.twin.store.casework.audit_chain import chain_entries, forget_entries
from foretwin.twin.store.scoring.urgency import forget_urgencies, keep_urgencies

VARIABLE = "FORETWIN_STORE"
FILE = "twins.db"
PATIENCE = 30  # seconds that one writer waits for another
INSTRUCTIONS = 100_000  # of SQLite between two looks at the clock of a bounded read: some milliseconds
CACHE_KIB = 16_384  # of SQLite's pages, for each connection
LOG_PAGES = 4_000  # of 4 KiB in its log, from which on they are put into the file
# Of a host that is gone PostgreSQL, and of PostgreSQL's host we, hear nothing: the connection, and what it has locked,
# would stay for hours. Seconds of silence before it is probed, and between two probes, and how many there are; ms until
# what was sent must have arrived.
SILENCE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True)
class Store:
    """An open store. `name` identifies it without a password; `read_seconds` bounds reads, None: nothing does.

    In SQLite all of a read together, in PostgreSQL each of its statements.
    """

    engine: Engine
    name: str
    read_seconds: float | None = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the store and writes nothing.

        StoreError as below; StoreAway too where it takes longer than `read_seconds`.
        """
        options = {"begin": "BEGIN"} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self._transaction(options) as connection, _bounded(connection, self.read_seconds):
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that commits when the body ends well and rolls back otherwise.

        StoreAway where the store cannot be reached or stays busy, StoreError where it refuses.
        """
        with self._transaction({"begin": "BEGIN IMMEDIATE"}) as connection:
            forget_entries(connection)
            forget_urgencies(connection)
            yield connection
            keep_urgencies(connection)
            chain_entries(connection)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite."""
        return self.engine.dialect.name == "sqlite"

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    @contextmanager
    def _transaction(self, options: dict[str, str]) -> Iterator[Connection]:
        with worded(self.name), self.engine.connect() as connection:
            connection.execution_options(**options)
            with connection.begin():
                yield connection


def store_url(root: Path, environ: Mapping[str, str]) -> str:
    """Return FORETWIN_STORE where it is set, else twins.db in the project's folder."""
    return read_setting(VARIABLE, environ) or f"sqlite:///{(root / FILE).resolve()}"


def parse_store_url(url: str) -> URL:
    """Parse the URL of a store; StoreError where it is none."""
    try:
        place = make_url(url)
    except ArgumentError:
        raise StoreError(f"{VARIABLE}: is no URL such as sqlite:///twins.db or postgresql://user@host/name") from None
    if place.drivername in ("postgresql", "postgres"):
        place = place.set(drivername="postgresql+psycopg")
    if place.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"{VARIABLE}: {place.get_backend_name()} is not supported; use sqlite or postgresql")
    return place


def open_store(url: str) -> Store:
    """Open a store by its SQLAlchemy URL, and create or migrate its tables.

    `sqlite:///path` or `postgresql://user:password@host/name`. StoreError where the URL is none, or the store was made
    by a newer version of Foretwin.

    >>> from foretwin.twin.store.listing import Page, list_fleet
    >>> store = foretwin.open_store("sqlite:///twins.db")
    >>> with store.read() as connection:
    ...     list_fleet(connection, Page(10, 0, "name", False), filters={}, stale=None, silent_since={})
    []
    >>> store.close()
    """
    store = reach_store(url)
    with worded(store.name):
        _migrate(store.engine, store.name)
    return store


def open_unmigrated(url: str) -> Store:
    """Open a store whose tables stay as they are, of whatever schema; StoreError where there is none at the URL."""
    place = make_url(url) if "://" in url else None
    if place is not None and place.get_backend_name() == "sqlite" and not Path(place.database or "").is_file():
        raise StoreError(f"{place}: there is no such file; set {VARIABLE} to the store that is meant")
    store = reach_store(url)
    if schema_of(store) is None:
        raise StoreError(f"{store.name}: is no store of Foretwin; set {VARIABLE} to the one that is meant")
    return store


def schema_of(store: Store) -> str | None:
    """Return the number of a store's schema; None where nothing has been made in it."""
    with worded(store.name), store.engine.connect().execution_options(begin="BEGIN") as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest_schema() -> str:
    """Return the schema's number that this version of Foretwin migrates stores to."""
    return str(_scripts().get_current_head())


def reach_store(url: str) -> Store:
    """Open a store and leave its tables as they are, if there are any; StoreError where the URL is none."""
    place = parse_store_url(url)
    name = place.render_as_string(hide_password=True)
    sqlite = place.get_backend_name() == "sqlite"
    if sqlite and place.database:
        Path(place.database).parent.mkdir(parents=True, exist_ok=True)
        _keep_private(place.database)
    told = {"timeout": PATIENCE} if sqlite else {name: one for name, one in SILENCE.items() if name not in place.query}
    options: dict[str, Any] = {"connect_args": told, "pool_pre_ping": not sqlite}
    options |= {"json_serializer": _json, "json_deserializer": orjson.loads}
    engine = create_engine(place, **options)
    if sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _set_up_postgresql)
    return Store(engine, name)


def _keep_private(database: str) -> None:
    """Keep others from reading the file and its log, to which SQLite gives the rights of the file."""
    if database == ":memory:" or database.startswith("file:"):
        return
    with suppress(OSError):  # SQLite says the same, and what can be done
        make_private(Path(database))
        for log in (Path(f"{database}-wal"), Path(f"{database}-shm")):
            if log.exists():
                make_private(log)


@contextmanager
def _bounded(connection: Connection, seconds: float | None) -> Iterator[None]:
    """End what the connection reads once it has taken that long."""
    if seconds is None:
        yield
    elif connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
        yield
    else:
        driver: Any = connection.connection.driver_connection
        end = time.monotonic() + seconds
        driver.set_progress_handler(lambda: time.monotonic() > end, INSTRUCTIONS)
        try:
            yield
        finally:
            driver.set_progress_handler(None, 0)


def _json(content: Any) -> str:
    return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS).decode()


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # `_begin_sqlite` says when a transaction begins, not the driver
    if connection.execute("PRAGMA page_count").fetchone() == (0,):  # where there is a store it would wait for writers
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # an acknowledged reading survives a power cut too
    connection.execute("PRAGMA foreign_keys = ON")
    # A call with readings of hundreds of assets changes thousands of pages: with less they are read and written twice.
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")


def _set_up_postgresql(connection: Any, _: object) -> None:
    """Tell the server how soon this host is gone; the session is not in a transaction, which would undo it."""
    names = {name: name if name.startswith("tcp_") else f"tcp_{name}" for name in SILENCE}
    connection.autocommit = True
    connection.execute("; ".join(f"SET {names[name]} = {value}" for name, value in SILENCE.items()))
    connection.autocommit = False


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _migrate(engine: Engine, name: str) -> None:
    """Migrate the tables; processes that start together wait for one another."""
    scripts = _scripts()
    with engine.connect().execution_options(begin="BEGIN") as connection, connection.begin():
        present = MigrationContext.configure(connection).get_current_revision()
    if present == scripts.get_current_head():
        return
    if present is not None and present not in {script.revision for script in scripts.walk_revisions()}:
        raise StoreError(f"{name}: a newer version of Foretwin made it (schema {present}): upgrade Foretwin")
    with engine.connect().execution_options(begin="BEGIN IMMEDIATE") as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7083)")
        config = _alembic()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@cache
def _scripts() -> ScriptDirectory:
    """Return the migrations, read once: to do so takes longer than to open a store that has them all."""
    return ScriptDirectory.from_config(_alembic())


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


@contextmanager
def worded(name: str) -> Iterator[None]:
    """Word a database error as one line with advice."""
    try:
        yield
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        advice = next((advice for sign, advice in ADVICE.items() if sign in reason), "")
        if "full" in reason or "readonly" in reason or "read-only" in reason or "malformed" in reason:
            raise StoreError(f"{name}: {reason}: {advice}") from error
        if error.connection_invalidated or isinstance(error, OperationalError):
            raise StoreAway(f"{name}: {reason}{': ' if advice else ''}{advice}") from error
        raise


TOO_LONG = "it took longer than a read may; ask for less at once, or later"
ADVICE = {
    "full": "nothing of this call was kept; free some space, then send it again",
    "No space left": "nothing of this call was kept; free some space, then send it again",
    "readonly": "nothing was kept; give the process the right to write to it",
    "read-only": "nothing was kept; make it writable again",
    "malformed": "restore it from a backup",
    "locked": "another process holds it",
    "interrupted": TOO_LONG,
    "statement timeout": TOO_LONG,
    "unable to open": f"look whether its folder is there and writable, or set {VARIABLE}",
    "refused": f"start PostgreSQL, or correct {VARIABLE}",
}
