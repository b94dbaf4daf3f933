"""Ask the living twin's HTTP interface."""

from typing import Any
from urllib.parse import urljoin

import httpx

ACTOR = {"X-Actor": "demonstration"}


def ask(url: str, **query: Any) -> Any:
    """Return the JSON that a GET answers."""
    return httpx.get(url, params=query or None, timeout=10).raise_for_status().json()


def asked_all(url: str, **query: Any) -> list[dict[str, Any]]:
    """Return all items of a list, page by page."""
    page = ask(url, limit=1000, **query)
    items: list[dict[str, Any]] = page["items"]
    while page["next"]:
        page = ask(urljoin(url, page["next"]))
        items += page["items"]
    return items


def tell(url: str, content: dict[str, Any]) -> Any:
    """Send an object as the demonstration's technician; return what is answered."""
    return httpx.post(url, json=content, headers=ACTOR, timeout=30).raise_for_status().json()


def describe(url: str, content: dict[str, Any]) -> None:
    """PUT an object."""
    httpx.put(url, json=content, headers=ACTOR, timeout=30).raise_for_status()
