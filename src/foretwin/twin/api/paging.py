"""Lists in pages: which query parameters a list takes, and where its next page begins."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.datastructures import QueryParams

from foretwin.errors import BadInput
from foretwin.twin.store.listing import Cursor, Listed, Page

MOST = 1000  # items of one page
USUAL = 100
FARTHEST = 10**9

Reader = Callable[[str, str], Any]


@dataclass(frozen=True)
class Listing:
    """What one list takes: the fields that it sorts by, the usual one first, and the reader of each filter."""

    sorts: tuple[str, ...]
    filters: Mapping[str, Reader]

    @property
    def names(self) -> tuple[str, ...]:
        """The query parameters of the list."""
        return (*self.filters, "limit", "offset", "after", "sort")

    def read(self, query: QueryParams) -> tuple[Page, dict[str, Any]]:
        """Page and filters of a call; BadInput names the parameter that is unknown, given twice or no such value.

        `sort` is a field, or `-field` for the largest first; the usual one may carry the minus in `sorts`.
        """
        given = read_query(
            query,
            {
                **self.filters,
                "limit": whole_number(1, MOST),
                "offset": whole_number(0, FARTHEST),
                "after": read_cursor,
                "sort": text,
            },
        )
        sort = given.pop("sort", self.sorts[0])
        names = [name.removeprefix("-") for name in self.sorts]
        if sort.removeprefix("-") not in names:
            raise BadInput("sort", f"is {sort[:60]}; there is {', '.join(names)}, each also with a minus before it")
        limit, offset = given.pop("limit", USUAL), given.pop("offset", 0)
        return Page(limit, offset, sort.removeprefix("-"), sort.startswith("-"), given.pop("after", None)), given


def read_query(query: QueryParams, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """The parameters of a call by name, each through its reader; BadInput for an unknown or a repeated one."""
    values: dict[str, Any] = {}
    for name, value in query.multi_items():
        if name not in readers:
            raise BadInput(name[:60], f"is unknown here; there is {', '.join(readers) or 'no parameter'}")
        if name in values:
            raise BadInput(name, "is given twice")
        values[name] = readers[name](name, value)
    return values


def answer_page(path: str, query: QueryParams, page: Page, items: Sequence[Any], rows: Listed) -> dict[str, Any]:
    """{"items", "next"} of one item more than the page holds; `next` is the path of the page that follows, or null.

    `items` are how the `rows` look in the answer.
    """
    following = None
    if len(items) > page.limit:
        values = {name: value for name, value in query.items() if name != "offset"}
        values |= {"limit": str(page.limit), "after": write_cursor(rows.cursors[page.limit - 1])}
        following = f"{path}?{urlencode(values)}"
    return {"items": list(items[: page.limit]), "next": following}


def one_more(page: Page) -> Page:
    """The page with one item more, which tells whether another page follows."""
    return replace(page, limit=page.limit + 1)


def write_cursor(cursor: Cursor) -> str:
    """A place in a list as a text for a URL."""
    values = [{"at": value.isoformat()} if isinstance(value, datetime) else value for value in cursor]
    return urlsafe_b64encode(orjson.dumps(values)).decode()


def read_cursor(name: str, value: str) -> Cursor:
    """A place in a list, as `write_cursor` wrote it."""
    try:
        values = orjson.loads(urlsafe_b64decode(value))
        return tuple(datetime.fromisoformat(one["at"]) if isinstance(one, dict) else one for one in values)
    except (ValueError, TypeError, KeyError):
        raise BadInput(name, "is no place in this list; take the path in `next` as it is") from None


def text(name: str, value: str) -> str:
    """A text that is not empty."""
    if not value:
        raise BadInput(name, "is empty")
    return value


def read_tag(name: str, value: str) -> tuple[str, str]:
    """A tag's name and value, written with `=` between them."""
    tag, sign, told = value.partition("=")
    if not tag or not sign:
        raise BadInput(name, f'is "{value[:60]}"; NAME=VALUE is needed')
    return tag, told


def truth(name: str, value: str) -> bool:
    """`true` or `false`."""
    if value not in ("true", "false"):
        raise BadInput(name, f'is "{value[:60]}"; true or false is needed')
    return value == "true"


def one_of(*names: str) -> Reader:
    """A reader of one of these words."""

    def read(name: str, value: str) -> str:
        if value not in names:
            raise BadInput(name, f'is "{value[:60]}"; there is {", ".join(names)}')
        return value

    return read


def whole_number(least: int, most: int) -> Reader:
    """A reader of a whole number from `least` to `most`."""

    def read(name: str, value: str) -> int:
        if not value.isascii() or not value.isdigit() or len(value) > 12 or not least <= int(value) <= most:
            raise BadInput(name, f'is "{value[:60]}"; a whole number from {least} to {most} is needed')
        return int(value)

    return read


def parse_moment(name: str, value: str) -> datetime:
    """A moment by ISO 8601; one without a zone is UTC.

    A plus that was not percent-encoded arrives as a space, which no such text holds otherwise before a zone.
    """
    try:
        read = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(name, f'is "{value[:60]}"; a moment such as 2026-11-21T12:00:00Z is needed') from None
