"""Open the store of the living twins."""

from foretwin.twin import store
from foretwin.twin.store import Store


def open_store(url: str) -> Store:
    """Open the store of the living twins by its URL, and make or renew its tables.

    `sqlite:///path` or `postgresql://user:password@host/name`; `foretwin` itself uses `sqlite:///twins.db` unless
    FORETWIN_STORE names another. `read()` and `write()` are transactions, whose connection the functions of
    `foretwin.twin.store` take. StoreError where the URL is none, or a newer version of Foretwin made the store.

    >>> from foretwin.twin.store.listing import Page, fleet
    >>> store = foretwin.open_store("sqlite:///twins.db")
    >>> with store.read() as connection:
    ...     fleet(connection, Page(10, 0, "name", False), filters={}, stale=None, silent_since={})
    []
    >>> store.close()
    """
    return store.open_store(url)
