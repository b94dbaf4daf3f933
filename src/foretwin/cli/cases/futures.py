"""Parse what-if options, and print their outlook as a table."""

from typing import Any

from rich.console import Console

from foretwin.cli import tables
from foretwin.errors import BadInput
from foretwin.twin.what_if.what_if import Option, read_options

FORM = "name:setting=value,... such as slower:commanded_speed=3240"


def parse_option(text: str) -> Option:
    """Parse `name:setting=value,...`; a value may be `VALUEforHOURS/.../VALUE`. BadInput where it is invalid."""
    name, colon, rest = text.partition(":")
    settings: dict[str, Any] = {}
    for part in rest.split(",") if rest else []:
        setting, equals, value = part.partition("=")
        if not equals or setting.strip() in settings:
            raise BadInput("--option", f"{text!r} is not {FORM}")
        settings[setting.strip()] = _course(text, value)
    if not colon or not settings:
        raise BadInput("--option", f"{text!r} is not {FORM}")
    return read_options([{"name": name.strip(), "settings": settings}])[0]


def show_futures(answer: dict[str, Any]) -> None:
    """Print the options, the longest life first, then the assumptions."""
    rows = []
    for option in answer["options"]:
        left, gained = option["rul"], option["difference"]
        more = " or more" if "value" in left["at_least"] else ""
        first = option["fails_first"]
        rows.append(
            (
                option["name"],
                tables.life(left["value"], left["low"], left["high"]) + more,
                tables.life(gained["value"], gained["low"], gained["high"]) if gained else "",
                *(f"{one['probability']:.0%}" for one in option["survival"]),
                f"{first[0]['limit']} ({first[0]['probability']:.0%})" if first else "",
            )
        )
    unit = answer["options"][0]["rul"]["unit"]
    survival = [f"lives {one['time']} {unit}" for one in answer["options"][0]["survival"]]
    tables.show_table(("option", f"remaining life ({unit})", "difference", *survival, "fails first"), rows)
    console = Console()
    for line in [*(f"warning: {text}" for text in answer["warnings"]), *answer["assumptions"]]:
        console.print(line, highlight=False, markup=False)


def _course(text: str, value: str) -> float | list[dict[str, float]]:
    pieces = value.split("/")
    if len(pieces) == 1:
        return _number(text, value)
    course = []
    for piece in pieces[:-1]:
        held, word, hours = piece.partition("for")
        if not word:
            raise BadInput("--option", f"{text!r}: {piece} does not say for how many hours, as in 2400for48/3600")
        course.append({"hours": _number(text, hours), "value": _number(text, held)})
    return [*course, {"hours": 1.0, "value": _number(text, pieces[-1])}]


def _number(text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise BadInput("--option", f"{text!r}: {value} is no number") from None
