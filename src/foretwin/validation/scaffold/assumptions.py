"""What `foretwin new` gave up and assumed, in the order of what it costs to be wrong, for the terminal."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from foretwin.contract.source import TableSource
from foretwin.sources.files.file_names import FILE
from foretwin.sources.files.notation import WHITESPACE
from foretwin.sources.tabular import TableFile
from foretwin.validation.scaffold.column_names import side_by_side
from foretwin.validation.scaffold.column_roles import ROW, Guess
from foretwin.validation.scaffold.measures import TableFindings, TableProfile, TimeNotation, far_values

WIDTH = 80
SHOWN = 3  # far values of a channel
MOST_TOLD = 6  # channels with far values
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class Assumptions:
    """Sentences for a person: what to check, the costliest first, and each column that was left out with its reason."""

    check: tuple[str, ...]
    left_out: dict[str, str]

    def lines(self) -> list[str]:
        """Return all of it as lines of at most 80 columns."""
        found = ["Check first what is costliest to get wrong:"]
        for number, sentence in enumerate(self.check, 1):
            found += _wrapped(sentence, f"{number:>3}. ", 5)
        if self.left_out:
            found.append("Columns left out:")
        for column, reason in self.left_out.items():
            found += _wrapped(f"{column!r} {reason}", "  - ", 4)
        return found


def assumptions_of(
    table: TableFile, found: TableFindings, hints: Sequence[str], notation: Sequence[str]
) -> Assumptions:
    """Tell what a draft assumes; `hints` are on the labels, `notation` on how the files are written."""
    guess, measured = found.guess, found.measured
    between = "blanks" if table.notation.separator == WHITESPACE else DELIMITERS.get(table.delimiter or "", "signs")
    written = f"text with {between} between its fields" if table.kind == "text" else table.kind
    sentences = [
        *_about_labels(guess, measured),
        *(f"labels: {hint}." for hint in hints),
        *_about_identity(guess, found.source, measured),
        *_about_time(guess, found.notation, measured),
        *_about_values(found),
        *notation,
        f"notation: the file is read as {written}.",
    ]
    return Assumptions(tuple(sentences), dict(guess.left_out) | dict(guess.sides.left_out))


def _about_labels(guess: Guess, measured: TableProfile) -> list[str]:
    found = list(guess.sides.told)
    if guess.failure:
        found.append(f"failure: a life ends on each row where {guess.failure!r} is true: {measured.lives} lives.")
    elif guess.rul:
        found.append(f"rul: {guess.rul!r} is the remaining life, in the clock's unit.")
    elif not guess.all_axes and not guess.knows_ends:
        found.append(
            "labels: no column says when a machine failed, so all rows are presumed to be normal, and departures are"
            " told."
        )
    if guess.sides.axis:
        modes = ", ".join(guess.sides.axis.classes[1:])
        found.append(f"faults: the axis {guess.sides.axis.name} is what failed: healthy, or {modes}.")
    for axis in guess.axes:
        spans = f"the spans of time in {axis.fault.spans.path}" if axis.fault.spans else ""
        columns, classes = spans or ", ".join(map(repr, axis.fault.columns)), ", ".join(axis.classes[1:])
        found.append(f"faults: the axis {axis.name} is read from {columns}: healthy, or {classes}.")
    return found


def _about_identity(guess: Guess, source: TableSource, measured: TableProfile) -> list[str]:
    lives = f", and {guess.run!r} its lives" if guess.run else ""
    found = [f"asset: {guess.asset!r} names the machine{lives}: {measured.assets} machines."]
    if source.asset in (None, FILE):
        one = f"all rows are of one, {source.single_asset!r}" if source.single_asset else "each file is of one"
        found = [f"asset: no column names the machine, so {one}{lives}: {measured.assets} in all."]
        machines, readings = side_by_side(guess.channels.values())
        if machines and source.single_asset:
            found[0] = (
                f"{found[0][:-1]}; but {', '.join(readings)} stand there for {', '.join(machines)} each: if these"
            )
            found[0] += " are machines, write a row for each machine and time, with a column that names it."
    if guess.split:
        found.append(f"split: {guess.split!r} says what is held out, in every training.")
    if guess.subset:
        found.append(
            f"subset: {guess.subset!r} names parts of the data; `holdout: by: subset` measures on parts never seen."
        )
    if source.spellings:
        found.append("spellings: names that differ only in case, width, blanks or zeros are read as one machine.")
    return found


def _about_time(guess: Guess, notation: TimeNotation, measured: TableProfile) -> list[str]:
    if guess.single_rows:
        dated = f", and {guess.time!r} is only its date" if guess.time != ROW else ""
        return [f"history: each machine has a single row{dated}: a prediction sees one row, and no clock is needed."]
    unit = "its unit is not told: write clock.unit" if notation.unit == "?" else f"the clock's unit is {notation.unit}"
    age = f"no age of the machine: {measured.counts_age}" if measured.counts_age else "the age of the machine"
    return [
        f"time: {_named_time(guess)} holds {notation.kind}; {unit}, a step is {notation.step:g}.",
        f"counts_from_start: the time is taken as {age}.",
    ]


def _named_time(guess: Guess) -> str:
    return "no column, but the number of the row" if guess.time == ROW else repr(guess.time)


def _about_values(given: TableFindings) -> list[str]:
    rows, source, guess = given.rows, given.source, given.guess
    counters = [guess.channels[name] for name in source.rates]
    told = "moves too little for its size to be kept in single precision; its rise per unit of time is read instead"
    found = [f"rates: {column!r} {told}." for column in counters]
    for name, words in guess.categories.items():
        held = f"holds one of {len(words)} words ({', '.join(words[:SHOWN])}{', ...' if len(words) > SHOWN else ''})"
        found.append(f"categories: {guess.channels[name]!r} {held}; another is taken as unknown.")
    found += _about_extremes(rows, guess)
    if source.missing == "carry_forward":
        found.append("missing: an empty cell takes the last value of its run.")
    if source.missing == "carry_forward_after_first":
        early = "rows of a run before each channel's first value are left out"
        found.append(f"missing: an empty cell takes the last value of its run; {early}.")
    found += given.sparse
    unknown = "units and physical limits: min and max are the file's own, widened."
    return [*found, unknown]


def _about_extremes(rows: pd.DataFrame, guess: Guess) -> list[str]:
    found = []
    for name, column in guess.channels.items():
        if name in guess.categories:
            continue
        values = rows[name].to_numpy(np.float64)
        far = far_values(values)
        if len(far):
            shown = ", ".join(f"{value:.6g}" for value in far[:SHOWN]) + (", ..." if len(far) > SHOWN else "")
            found.append(f"{column!r} ({np.isin(values, far).sum()}: {shown})")
    others = [f"and {len(found) - MOST_TOLD} more columns"] if len(found) > MOST_TOLD else []
    told = "; ".join(found[:MOST_TOLD] + others)
    return [f"extremes: some of the {len(rows)} values are far from the rest, in {told}."] if found else []


def _wrapped(text: str, head: str, indent: int) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * indent, break_on_hyphens=False)
