"""What an asset may be called: its name stands in paths and in MQTT topics."""

import unicodedata
from typing import Any, TypeGuard

from foretwin.errors import BadInput

LONGEST_NAME = 200
FORBIDDEN = frozenset("/+#")  # they part and match topics and paths


def is_name(name: Any) -> TypeGuard[str]:
    """Whether it is a text of 1 to 200 characters without `/`, `+`, `#` and control characters."""
    if type(name) is not str or not 0 < len(name) <= LONGEST_NAME:
        return False
    # Cc: control characters; Cs: half of a surrogate pair, which is no text that could be stored or sent.
    return name.isalnum() or not any(c in FORBIDDEN or unicodedata.category(c) in ("Cc", "Cs") for c in name)


def check_name(name: Any, field: str = "asset") -> str:
    """The name; BadInput where it is none."""
    if not is_name(name):
        raise BadInput(field, f"a text of 1 to {LONGEST_NAME} characters is needed, without /, +, # and line breaks")
    return name
