"""Events of the outbox as others read them: CloudEvents 1.0 in structured JSON mode."""

from datetime import UTC
from typing import Any
from urllib.parse import quote

from foretwin.twin.store.casework.events import Event


def source_of(twin: str, asset: str | None) -> str:
    """Where an event comes from: `/foretwin/<twin>/<asset>`, or `/foretwin/<twin>` for the fleet; a URI reference."""
    return "/".join(["/foretwin", twin, *([] if asset is None else [quote(asset, safe="")])])


def as_cloud_event(event: Event) -> dict[str, Any]:
    """The event in CloudEvents' structured JSON format (its media type is application/cloudevents+json)."""
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
