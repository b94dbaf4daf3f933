"""A work-order template: how a maintenance system is asked, as a JSON file with places for what a request says."""

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from foretwin.errors import BadInput, ConnectionsError

PLACE = re.compile(r"\{([a-z_]\w*(?:\.[\w-]+)*)(\|number)?\}")
State = Literal["open", "acknowledged", "planned", "waiting_for_part", "done"]
Words = Mapping[str, Any]


class _Part(BaseModel):
    """Base of the sections: frozen, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SystemCall(_Part):
    """A call of the system. `answer` is where in its answer (JSON pointer) the order's own number lies."""

    method: Literal["GET", "POST", "PATCH", "PUT"]
    path: str
    query: dict[str, str] = Field(default={})
    headers: dict[str, str] = Field(default={})
    body: Any = None
    answer: str | None = None


class SessionCall(SystemCall):
    """The call that comes first: `take` says which headers the others have, from which of its answer's.

    `header:NAME` or `json:POINTER`; cookies are kept anyway.
    """

    take: dict[str, str]


class CallBack(_Part):
    """What the system sends when the state of an order changes: where in it (JSON pointers) what lies."""

    reference: str
    state: str
    date: str | None = Field(default=None, description="when it is planned for")
    states: dict[str, State]


class WorkOrderTemplate(_Part):
    """One system. `words` translate a severity: name -> severity -> what the system says."""

    system: str
    documentation: tuple[str, ...]
    read_on: date
    tried: str
    words: dict[str, dict[Literal["planned", "urgent"], str | int]] = Field(default={})
    session: SessionCall | None = None
    find: SystemCall
    create: SystemCall
    update: SystemCall | None = None
    callback: CallBack | None = None


def load_template(path: Path) -> WorkOrderTemplate:
    """Read a template; ConnectionsError names the file and the field."""
    try:
        return WorkOrderTemplate.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConnectionsError(f"{path}: cannot be read: {error.strerror}; name a template's file") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "content"
        raise ConnectionsError(f"{path}: {field}: {first['msg']}") from None


def fill_body(content: Any, words: Words) -> Any:
    """Return a body with what stands for its places; a member of an object that is not known is left out.

    So is an object of which nothing is known. A text that is one place alone becomes what is there, also a number;
    `{name|number}` makes a number of a text.
    """
    if isinstance(content, dict):
        parts = {name: fill_body(part, words) for name, part in content.items()}
        known = {name: part for name, part in parts.items() if part is not None}
        return known if known or not content else None
    if isinstance(content, list):
        return [fill_body(part, words) for part in content]
    if not isinstance(content, str):
        return content
    alone = PLACE.fullmatch(content)
    if alone:
        return _number(alone[1], look_up(alone[1], words)) if alone[2] else look_up(alone[1], words)
    return filled_text(content, words)


def filled_text(text: str, words: Words, quoted: bool = False) -> str:
    """Return a text with what stands for its places, nothing for what is not known; `quoted` as in a path of a URL."""

    def told(place: re.Match[str]) -> str:
        value = look_up(place[1], words)
        shown = "" if value is None else str(value)
        return quote(shown, safe="") if quoted else shown

    return PLACE.sub(told, text)


def look_up(name: str, words: Words) -> Any:
    """Return what stands for a place such as `asset.tags.site`; None where nothing does."""
    found: Any = words
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def at_pointer(content: Any, pointer: str) -> Any:
    """Return what lies at a JSON pointer (RFC 6901); None where nothing does."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(content, list):
            content = content[int(key)] if key.isdigit() and int(key) < len(content) else None
        else:
            content = content.get(key) if isinstance(content, Mapping) else None
    return content


def _number(name: str, value: Any) -> int | float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BadInput(name, f"is {str(value)[:60]!r}, and the template asks for a number; correct the tag") from None
    return int(number) if number.is_integer() else number
