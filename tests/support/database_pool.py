"""PostgreSQL databases that tests use one after the other, each emptied instead of dropped and copied anew.

To copy one costs two checkpoints and the files of a hundred tables and indices, which is more than most tests do in it.
"""

import uuid

import psycopg
from psycopg import sql

from benchmarks.servers import Postgres

# All but rows, of what a test may have changed: such a database is dropped. Objects that were made again have new
# numbers, so that the catalogs tell; what the server keeps by itself in pg_class is left out.
SHAPE = """
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
    SELECT concat_ws(' ', oid, relname, relnamespace, relkind, relowner, relacl, reloptions, relispartition)
        FROM pg_class WHERE oid >= 16384
    UNION ALL SELECT (one.*)::text FROM pg_attribute AS one
        WHERE attrelid IN (SELECT oid FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v'))
    UNION ALL SELECT (one.*)::text FROM pg_attrdef AS one
    UNION ALL SELECT (one.*)::text FROM pg_constraint AS one WHERE oid >= 16384
    UNION ALL SELECT (one.*)::text FROM pg_trigger AS one
    UNION ALL SELECT (one.*)::text FROM pg_rewrite AS one WHERE oid >= 16384
    UNION ALL SELECT (one.*)::text FROM pg_proc AS one WHERE oid >= 16384
    UNION ALL SELECT (one.*)::text FROM pg_namespace AS one WHERE nspname !~ '^pg_(temp|toast_temp)_'
    UNION ALL SELECT (one.*)::text FROM pg_extension AS one
    UNION ALL SELECT (one.*)::text FROM pg_largeobject_metadata AS one
    UNION ALL SELECT concat_ws(' ', datacl, datconnlimit, datdba) FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT (one.*)::text FROM pg_db_role_setting AS one
    UNION ALL SELECT version_num FROM alembic_version
) AS lines (line)
"""
OTHERS = """
SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
FILLED = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
    AND pg_relation_size(oid) > 0
"""
# All of them: one that was set ahead and not yet asked, as for the next partition, has no last value in pg_sequences.
BEGIN_AGAIN = "SELECT setval(format('%I.%I', schemaname, sequencename), start_value, false) FROM pg_sequences"


class DatabasePool:
    """Copies of a database of this server, whose rows are all made by tests; at most so many as were in use at once."""

    def __init__(self, server: Postgres, like: str):
        self.server, self.like = server, like
        self.free: dict[str, str] = {}  # name -> shape
        self.used: dict[str, str] = {}

    def take(self) -> str:
        """The URL of a copy without rows, whose sequences begin."""
        if self.free:
            name, shape = self.free.popitem()
        else:
            name = f"t{uuid.uuid4().hex}"
            self.server.new_database(name, like=self.like)
            with psycopg.connect(self._url(name), autocommit=True) as connection:
                shape = shape_of(connection)
        self.used[name] = shape
        return self._url(name)

    def give_back(self, url: str) -> None:
        """Empty it for the next one, where it is otherwise as it was."""
        name = url.rpartition("/")[2]
        shape = self.used.pop(name)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(OTHERS)
            same = shape_of(connection) == shape
            if same:
                empty(connection)
        if same:
            self.free[name] = shape
        else:
            self.server.drop_database(name)

    def _url(self, name: str) -> str:
        return self.server.url.rpartition("/")[0] + f"/{name}"


def shape_of(connection: psycopg.Connection) -> str:
    """A digest of what is in the database but for its rows."""
    row = connection.execute(SHAPE).fetchone()
    assert row is not None
    return str(row[0])


def empty(connection: psycopg.Connection) -> None:
    """Delete all rows, and let all sequences begin.

    TRUNCATE would make each table's files anew, and those of who refers to it. As `replica`, no key and no trigger
    asks about a row; VACUUM cuts off the pages that are empty then.
    """
    filled = [sql.Identifier("public", name) for (name,) in connection.execute(FILLED)]
    if filled:
        connection.execute("SET session_replication_role = replica")
        for table in filled:
            connection.execute(sql.SQL("DELETE FROM {}").format(table))
        connection.execute(sql.SQL("VACUUM {}").format(sql.SQL(", ").join(filled)))
    connection.execute(BEGIN_AGAIN)
