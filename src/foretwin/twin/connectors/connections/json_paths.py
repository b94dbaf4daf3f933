"""Paths into JSON: `$.values[0].v`, names and places alone."""

import re
from functools import lru_cache
from typing import Any

STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d{1,6})\]|\['([^']+)'\]")


@lru_cache(maxsize=1024)  # each message of a tag asks for the same ones
def parse_json_path(text: str) -> tuple[str | int, ...]:
    """Return the steps of a path; ValueError where it is none."""
    steps: list[str | int] = []
    end = 1
    while text.startswith("$") and end < len(text) and (found := STEP.match(text, end)):
        steps.append(int(found[2]) if found[2] is not None else found[1] or found[3])
        end = found.end()
    if not text.startswith("$") or end != len(text):
        raise ValueError(f"{text} is no path; write one such as $.value, $.values[0].v or $['a b']")
    return tuple(steps)


def follow_json_path(content: Any, steps: tuple[str | int, ...]) -> Any:
    """Return what lies at a path; KeyError names the first step that leads nowhere."""
    for step in steps:
        try:
            if (type(content), type(step)) not in ((dict, str), (list, int)):
                raise KeyError
            content = content[step]
        except LookupError:
            raise KeyError(str(step)) from None
    return content
