"""Give pages that are free back to the file system, a few at a time: SQLite alone; PostgreSQL's autovacuum does it."""

import sqlite3
from typing import cast

from foretwin.errors import StoreError
from foretwin.twin.store.database import Store

FREE_SHARE = 0.25  # of the file: below, free pages are filled again by what comes next
FEWEST_FREE, PAGES = 2_000, 250
INCREMENTAL = 2  # how PRAGMA auto_vacuum says it


def reclaim_pages(store: Store) -> bool:
    """Give some pages back; whether there may be more. A store made before this was known keeps its size."""
    if not store.is_sqlite:
        return False
    with store.read() as connection:
        free, pages, kind = (
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("freelist_count", "page_count", "auto_vacuum")
        )
    if kind != INCREMENTAL or free < FEWEST_FREE or free < FREE_SHARE * pages:
        return False
    borrowed = store.engine.raw_connection()
    try:  # a script, since it must be stepped to its end, and Python's `execute` takes one step: one page
        cast("sqlite3.Connection", borrowed.driver_connection).executescript(f"PRAGMA incremental_vacuum({PAGES})")
    except sqlite3.Error as error:
        raise StoreError(f"{store.name}: {error}; pages are given back later") from error
    finally:
        borrowed.close()
    return True
