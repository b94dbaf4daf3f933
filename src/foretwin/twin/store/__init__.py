"""The store of the living twin: SQLite in the project, or PostgreSQL by URL; the only package with SQL.

`open_store` gives a `Store`; the functions of the modules here take the connection of one of its transactions, so that
their caller decides what is written together or not at all.
"""

from sqlalchemy import Connection

from foretwin.twin.store import summaries as summaries  # its tables are made with the others
from foretwin.twin.store.database import Store, open_store, store_url

__all__ = ["Connection", "Store", "open_store", "store_url"]
