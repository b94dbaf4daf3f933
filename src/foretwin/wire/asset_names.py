"""Valid asset names: they occur in paths and MQTT topics, and people tell machines apart by what they see of them."""

import re
from typing import Any, TypeGuard

from foretwin.errors import BadInput

LONGEST_NAME = 200
SEPARATORS = "#+/"  # they part and match topics and paths
# Control and format characters (with them all that change the direction of a text), variation selectors, fillers and
# other characters that show nothing. As ranges and not by category, so that the schema of the
# services can say the same; in the astral planes as themselves, since JSON and Python escape them in different ways.
UNSEEN = (
    r"\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    r"\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
NAME_PATTERN = rf"^(?!\.\.?$)[^\s{SEPARATORS}{UNSEEN}](?:[^{SEPARATORS}{UNSEEN}]*[^\s{SEPARATORS}{UNSEEN}])?$"
NEEDED = (
    f"a text of 1 to {LONGEST_NAME} visible characters is needed, without /, +, #, control and format characters, and"
    " spaces around it; not . or .."
)

_MATCHES = re.compile(NAME_PATTERN).fullmatch
_HAS_HALF = re.compile(r"[\ud800-\udfff]").search  # half of a surrogate pair, which cannot be sent or stored


def is_name(name: Any) -> TypeGuard[str]:
    """Whether it is a text of 1 to 200 characters that can be seen, without `/`, `+`, `#`, and neither `.` nor `..`."""
    if type(name) is not str or len(name) > LONGEST_NAME:
        return False
    return _MATCHES(name) is not None and _HAS_HALF(name) is None


def wrong_name(name: Any) -> str:
    """Describe why a value is no valid name; what cannot be seen of it is escaped."""
    from foretwin.wire.values import shown  # with pandas and pyarrow, which the store's short commands do without

    seen = name.encode("unicode_escape").decode() if isinstance(name, str) and not name.isprintable() else name
    return f"is {shown(seen)}, {NEEDED}"


def check_name(name: Any, field: str = "asset") -> str:
    """Return the name; BadInput where it is invalid."""
    if not is_name(name):
        raise BadInput(field, wrong_name(name))
    return name
