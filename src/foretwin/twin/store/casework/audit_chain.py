"""Chain of the audit: each entry's digest covers that of the entry before it, so that a changed one is found.

Entries are chained at the end of the transaction that adds them, in the order of the commits. The database itself
refuses to change or delete one (triggers of migration 0009), unless its link says that it was archived or erased; the
link stays, so that the chain is whole for ever. Who may write to the database can compute a whole new chain: a head
that was noted elsewhere tells even that.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Literal

import orjson
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from foretwin.errors import StoreError
from foretwin.twin.store.summaries import audit_chain
from foretwin.twin.store.tables import audit

FIRST = "0" * 64  # the digest before the first entry's
LOCK = 7084  # PostgreSQL's, of who adds to the chain
UNCHAINED = "foretwin.audit"  # in a connection's notes: numbers of the entries that its transaction added
AT_ONCE = 5_000
KEYS_AT_ONCE = 1_000

Gone = Literal["archived", "erased"]


@dataclass(frozen=True)
class ChainState:
    """A whole chain: how many entries it links, how many of them are gone, and its head, `position:digest`."""

    entries: int
    archived: int
    erased: int
    head: str


def entry_digest(row: Any) -> str:
    """Return the SHA-256 of an entry of the audit, the same from either database."""
    moment = row.at.astimezone(UTC).isoformat(timespec="microseconds")
    content = [row.id, moment, row.actor, row.action, row.asset, row.case, row.detail]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def link_digest(previous: str, content: str) -> str:
    """Return the digest of the link after `previous` whose entry has the digest `content`."""
    return hashlib.sha256((previous + content).encode()).hexdigest()


def note_entry(connection: Connection, entry: int) -> None:
    """Remember an entry that this transaction added, for `chain_entries`."""
    connection.info.setdefault(UNCHAINED, []).append(entry)


def forget_entries(connection: Connection) -> None:
    """Forget what a transaction that was rolled back has left."""
    connection.info.pop(UNCHAINED, None)


def chain_entries(connection: Connection) -> None:
    """Chain the entries that this transaction added; the last thing that it does, since others wait from here on."""
    added = connection.info.pop(UNCHAINED, None)
    if not added:
        return
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    links = audit_chain.c
    last = connection.execute(select(links.position, links.digest).order_by(links.position.desc()).limit(1)).first()
    position, digest = (last.position, last.digest) if last else (0, FIRST)
    new: list[dict[str, Any]] = []
    for begin in range(0, len(added), KEYS_AT_ONCE):
        query = select(audit).where(audit.c.id.in_(added[begin : begin + KEYS_AT_ONCE])).order_by(audit.c.id)
        for row in connection.execute(query):
            content = entry_digest(row)
            position, digest = position + 1, link_digest(digest, content)
            new.append({"position": position, "entry": row.id, "content": content, "digest": digest})
    if new:
        connection.execute(insert(audit_chain), new)


def mark_gone(connection: Connection, entries: Iterable[int], why: Gone) -> None:
    """Note of entries that they will be deleted, or will lose words, and why: else the database refuses it."""
    for some in _pieces(entries):
        connection.execute(update(audit_chain).where(audit_chain.c.entry.in_(some)).values(gone=why))


def delete_entries(connection: Connection, which: ColumnElement[bool], why: Gone) -> int:
    """Delete entries of the audit, whose links stay; return how many."""
    entries = list(connection.execute(select(audit.c.id).where(which)).scalars())
    mark_gone(connection, entries, why)
    for some in _pieces(entries):
        connection.execute(delete(audit).where(audit.c.id.in_(some)))
        # SQLite may give the number again.
        connection.execute(update(audit_chain).where(audit_chain.c.entry.in_(some)).values(entry=None))
    return len(entries)


def verify_chain(connection: Connection, noted: str | None = None) -> ChainState:
    """Follow the chain from its beginning; StoreError names the first entry that was changed, added or taken out.

    `noted` is a head that was noted before: the chain must still go through it.
    """
    query = select(audit_chain, *(column.label(f"audit_{column.name}") for column in audit.c))
    query = query.outerjoin(audit, audit.c.id == audit_chain.c.entry).order_by(audit_chain.c.position)
    position, digest, heads, gone = 0, FIRST, {f"0:{FIRST}"}, {"archived": 0, "erased": 0}
    for link in connection.execute(query, execution_options={"yield_per": AT_ONCE}):
        position += 1
        if link.position != position or link.digest != link_digest(digest, link.content):
            raise StoreError(f"audit: entry {position} of the chain does not follow the one before it: {ALTERED}")
        digest = link.digest
        if link.gone is not None:
            gone[link.gone] += 1
        elif link.audit_id is None:
            raise StoreError(f"audit: entry {position} of the chain, number {link.entry}, was taken out: {ALTERED}")
        elif entry_digest(_Entry(link)) != link.content:
            raise StoreError(f"audit: entry {position} of the chain, number {link.entry}, was changed: {ALTERED}")
        if noted == f"{position}:{digest}":
            heads.add(noted)
    stranger = select(audit.c.id).where(audit.c.id.not_in(select(audit_chain.c.entry).where(_is_there)))
    number = connection.execute(stranger.order_by(audit.c.id).limit(1)).scalar()
    if number is not None:
        raise StoreError(f"audit: number {number} is in no chain: somebody else added it: {ALTERED}")
    if noted is not None and noted not in heads:
        raise StoreError(f"audit: the chain does not go through {noted}: it was written anew or cut: {ALTERED}")
    return ChainState(position, gone["archived"], gone["erased"], f"{position}:{digest}")


ALTERED = "compare with a backup"
_is_there = audit_chain.c.entry.is_not(None)


class _Entry:
    """The entry in a row of the chain joined to the audit."""

    def __init__(self, link: Any) -> None:
        for column in audit.c:
            setattr(self, str(column.name), getattr(link, f"audit_{column.name}"))


def _pieces(entries: Iterable[int]) -> list[list[int]]:
    keys = list(entries)
    return [keys[begin : begin + KEYS_AT_ONCE] for begin in range(0, len(keys), KEYS_AT_ONCE)]
