"""Photos of cases: what a technician saw."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from foretwin.errors import NotFound
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.casework.cases import Case
from foretwin.twin.store.listing import Row
from foretwin.twin.store.summaries import case_photos
from foretwin.twin.store.tables import cases

_SHOWN = [column for column in case_photos.c if column.name not in ("content", "asset")]


@dataclass(frozen=True)
class Jpeg:
    """A picture and its size in pixels."""

    content: bytes
    width: int
    height: int


def insert_photo(connection: Connection, case: Case, picture: Jpeg, actor: str, now: datetime) -> Row:
    """Store a photo and return its row without the picture; the case counts as changed."""
    values = {"case": case.id, "asset": case.asset, "at": now, "actor": actor, "content": picture.content}
    values |= {"width": picture.width, "height": picture.height}
    row = connection.execute(insert(case_photos).values(values).returning(*_SHOWN)).mappings().one()
    connection.execute(update(cases).where(cases.c.id == case.id).values(updated_at=now))
    return {**row, "bytes": len(picture.content)}


def count_photos(connection: Connection, case_id: int) -> int:
    """Count the photos of a case."""
    query = select(func.count()).select_from(case_photos).where(case_photos.c.case == case_id)
    return int(connection.execute(query).scalar_one())


def photos_of(connection: Connection, case_id: int) -> list[Row]:
    """Return the photos of a case without the pictures, the oldest first."""
    query = select(*_SHOWN, func.length(case_photos.c.content).label("bytes")).where(case_photos.c.case == case_id)
    return [dict(row) for row in connection.execute(query.order_by(case_photos.c.id)).mappings()]


def find_photo(connection: Connection, case_id: int, photo_id: int) -> bytes:
    """Return the JPEG of a photo; NotFound where the case has no such one."""
    mine = (case_photos.c.id == photo_id, case_photos.c.case == case_id)
    content = connection.execute(select(case_photos.c.content).where(*mine)).scalar_one_or_none()
    if content is None:
        raise NotFound("photo", f"{photo_id} is none of case {case_id}")
    return bytes(content)


def photos_of_asset(connection: Connection, asset: Asset) -> Iterator[Row]:
    """Yield the photos of an asset's cases with their pictures, one at a time."""
    query = select(case_photos).where(case_photos.c.asset == asset.id).order_by(case_photos.c.id)
    for row in connection.execute(query.execution_options(yield_per=1)).mappings():
        yield dict(row)
