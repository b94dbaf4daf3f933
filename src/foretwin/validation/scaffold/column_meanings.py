"""What somebody says that columns mean, before anything of the others is guessed."""

from collections.abc import Iterable, Mapping

from foretwin.errors import SourceError
from foretwin.validation.scaffold.column_names import ASSET_NAMES, FAILURE_NAMES, RUL_NAMES, RUN_NAMES, TIME_NAMES

# Of the first five there is one column each at most; the names of which one is known to mean it.
NAMES: Mapping[str, tuple[str, ...]] = {
    "asset": ASSET_NAMES,
    "time": TIME_NAMES,
    "run": RUN_NAMES,
    "failure": FAILURE_NAMES,
    "rul": RUL_NAMES,
}
LABEL, CHANNEL, LEFT_OUT = "label", "channel", "left_out"
MEANINGS = (*NAMES, LABEL, CHANNEL, LEFT_OUT)
TOLD_LABEL, TOLD_LEFT_OUT = "is a label, as was said, which a network must not see", "is left out, as was said"
Told = Mapping[str, str]  # column -> meaning


def check_told(shown: str, columns: Iterable[str], told: Told) -> None:
    """SourceError for a column that is not there, and for two that would mean the one thing."""
    there, seen = list(columns), dict[str, str]()
    for column, meaning in told.items():
        if meaning not in MEANINGS:
            raise SourceError(f"{shown}: {column}: {meaning[:60]} is no meaning; there is {', '.join(MEANINGS)}")
        if column not in there:
            raise SourceError(f"{shown}: there is no column {column[:80]}; there is {', '.join(there)[:400]}")
        if meaning in NAMES and (other := seen.setdefault(meaning, column)) != column:
            raise SourceError(f"{shown}: {other} and {column} cannot both be the {meaning}; leave one of them")


def names_as_told(free: Mapping[str, str], told: Told) -> dict[str, str]:
    """Return column -> squashed name of those that may mean something: no other column has a name of what was told."""
    taken = {name for meaning in told.values() for name in NAMES.get(meaning, ())}

    def name_of(column: str, plain: str) -> str:
        if told.get(column) in NAMES:
            return NAMES[told[column]][0]
        return "" if column in told or plain in taken else plain

    return {column: name_of(column, plain) for column, plain in free.items() if told.get(column) != LEFT_OUT}


def check_found(shown: str, found: Mapping[str, str | None], told: Told) -> None:
    """SourceError where a column cannot be what was said; `found` is meaning -> column."""
    for column, meaning in told.items():
        if meaning in NAMES and found[meaning] != column:
            raise SourceError(f"{shown}: {column} cannot be the {meaning}: {WHY[meaning]}")


WHY = {
    "asset": "it is the time, or numbers the rows",
    "time": "it holds neither numbers nor moments, or falls from row to row of a machine",
    "run": "it is empty on some rows",
    "failure": "it is no flag that is true on the last row of lives alone",
    "rul": "it holds no numbers, or another column says when lives end",
}
