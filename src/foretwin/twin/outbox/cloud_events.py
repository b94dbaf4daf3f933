"""Format events as CloudEvents 1.0 in structured JSON mode."""

from datetime import UTC
from typing import Any
from urllib.parse import quote

from foretwin.twin.store.casework.events import Event


def source_of(twin: str, asset: str | None) -> str:
    """Return an event's source, a URI reference: `/foretwin/<twin>/<asset>`, or `/foretwin/<twin>` for the fleet."""
    return "/".join(["/foretwin", twin, *([] if asset is None else [quote(asset, safe="")])])


def as_cloud_event(event: Event) -> dict[str, Any]:
    """Return the event in CloudEvents' structured JSON format (media type application/cloudevents+json)."""
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": source_of(event.twin, event.asset_name),
        "type": event.type,
        "subject": event.subject,
        "time": event.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": event.data,
    }
