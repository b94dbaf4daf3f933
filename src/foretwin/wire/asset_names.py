"""Valid asset names: they occur in paths and in MQTT topics."""

import unicodedata
from typing import Any, TypeGuard

from foretwin.errors import BadInput
from foretwin.wire.values import shown

LONGEST_NAME = 200
FORBIDDEN = frozenset("/+#")  # they part and match topics and paths
NEEDED = f"a text of 1 to {LONGEST_NAME} characters is needed, without /, +, # and control characters"


def is_name(name: Any) -> TypeGuard[str]:
    """Whether it is a text of 1 to 200 characters without `/`, `+`, `#` and control characters."""
    if type(name) is not str or not 0 < len(name) <= LONGEST_NAME:
        return False
    if name.isprintable():
        return FORBIDDEN.isdisjoint(name)
    # Cc: control characters; Cs: half of a surrogate pair, which is no text that could be stored or sent.
    return not any(c in FORBIDDEN or unicodedata.category(c) in ("Cc", "Cs") for c in name)


def wrong_name(name: Any) -> str:
    """Describe why a value is no valid name."""
    return f"is {shown(name)}, {NEEDED}"


def check_name(name: Any, field: str = "asset") -> str:
    """Return the name; BadInput where it is invalid."""
    if not is_name(name):
        raise BadInput(field, wrong_name(name))
    return name
