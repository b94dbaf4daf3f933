"""Move a project's store from SQLite to PostgreSQL: `foretwin migrate-store`."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from foretwin.errors import BadInput, Conflict
from foretwin.twin.store import open_store, store_url
from foretwin.twin.store.copying import copy_rows, is_empty
from foretwin.twin.store.database import open_unmigrated, reach_store


def migrate_store(root: Path, environ: Mapping[str, str], url: str) -> dict[str, int]:
    """Copy the project's SQLite store into the empty PostgreSQL at the URL and read it back; return table -> rows.

    Nobody can write to the old store while it is copied; it stays as it is. BadInput where the store is not SQLite or
    the URL no PostgreSQL, Conflict where that is not empty.
    """
    old = store_url(root, environ)
    with closing(open_unmigrated(old)) as store:
        if not store.is_sqlite:
            raise BadInput("FORETWIN_STORE", f"{store.name} is no SQLite file; `foretwin backup` copies a PostgreSQL")
    with closing(reach_store(url)) as target:
        if target.is_sqlite:
            raise BadInput("URL", f"{target.name} is no PostgreSQL; `foretwin restore` makes another SQLite file")
        with target.read() as connection:
            if not is_empty(connection):
                raise Conflict("URL", f"{target.name} is not empty; nothing was written; name an empty database")
    with (
        closing(open_store(old)) as source,
        closing(open_store(url)) as target,
        source.write() as rows,  # keeps everybody else from writing meanwhile
        target.write() as into,
    ):
        return copy_rows(rows, into)
