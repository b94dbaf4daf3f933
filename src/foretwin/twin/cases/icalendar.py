"""What is due as an iCalendar file (RFC 5545): one all-day entry for each case, which calendars ask for again."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

CONTENT_TYPE = "text/calendar; charset=utf-8"
OCTETS = 75  # of a line; a longer one goes on after a line break and a space
HEAD = (
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//Foretwin//cases//EN",
    "X-WR-CALNAME:Foretwin",
    "CALSCALE:GREGORIAN",
)


def write_calendar(items: Iterable[Mapping[str, Any]], zone: tzinfo | None, page: str, now: datetime) -> bytes:
    """Write the items of an agenda; days are those of the zone, `page` is the address before the number of a case."""
    lines = [*HEAD, *(line for one in items for line in _event(one, zone, page, now)), "END:VCALENDAR"]
    return "".join(f"{_folded(line)}\r\n" for line in lines).encode()


def _event(item: Mapping[str, Any], zone: tzinfo | None, page: str, now: datetime) -> list[str]:
    day, safe = item["due_at"].astimezone(zone).date(), item["latest_safe_date"]
    name, fault = item["asset"] or item["twin"], item["fault"].rpartition(".")[2].replace("_", " ")
    about = [f"part: {item['part']}"] if item["part"] else []
    about += [f"latest safe date: {safe.astimezone(zone):%Y-%m-%d %H:%M}"] if safe else []
    about += [f"who: {item['assignee']}"] if item["assignee"] else []
    return [
        "BEGIN:VEVENT",
        f"UID:case-{item['id']}@foretwin",
        f"DTSTAMP:{now.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        f"DTSTART;VALUE=DATE:{day:%Y%m%d}",
        f"DTEND;VALUE=DATE:{day + timedelta(days=1):%Y%m%d}",
        f"SUMMARY:{_escaped(f'{name}: {fault}')}",
        *([f"DESCRIPTION:{_escaped(chr(10).join(about))}"] if about else []),
        *([f"LOCATION:{_escaped(item['site'])}"] if item["site"] else []),
        f"URL:{page}/{item['id']}",
        f"CATEGORIES:{item['severity'].upper()}",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    ]


def _escaped(text: str) -> str:
    plain = "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)
    for sign in ("\\", ";", ","):
        plain = plain.replace(sign, f"\\{sign}")
    return plain.replace("\n", "\\n")


def _folded(line: str) -> str:
    pieces, piece, size = list[str](), "", 0
    for sign in line:
        width = len(sign.encode())
        if size + width > OCTETS - bool(pieces):
            pieces, piece, size = [*pieces, piece], "", 0
        piece, size = piece + sign, size + width
    return "\r\n ".join([*pieces, piece])
