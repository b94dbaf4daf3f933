"""A service request as people read it: one line, and a short text."""

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]


def headline(document: Document) -> str:
    """Return machine, fault and severity in one line."""
    return f"{document['asset']['name']}: {document['fault']['title']} ({document['severity']})"


def as_plain_text(document: Document, link: str = "") -> str:
    """Return what a technician must know, one fact in a line."""
    asset, rul = document["asset"], document["rul"]
    lead = document["lead_time"]
    facts = {
        "Machine": ", ".join(filter(None, (asset["name"], asset["serial_number"], asset["location"]))),
        "Fault": document["fault"]["title"],
        "Severity": document["severity"],
        "Remaining life": rul and f"{rul['value']:.4g} {rul['unit']} ({rul['low']:.4g} to {rul['high']:.4g})",
        "Latest safe date": document["latest_safe_date"],
        "Part": f"{document['part']['name']}, lead time {lead['value']:g} {lead['unit']}",
        "Skills": ", ".join(document["skills"]),
        "Request": document["number"],
        "Case": link,
    }
    lines = [f"{name}: {value}" for name, value in facts.items() if value]
    return "\n".join([*lines, "", document["instruction"]])
