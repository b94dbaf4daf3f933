"""Tables beside an unknown table of readings, drafted: how each is read, and what is made of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foretwin.contract.source import TableFault
from foretwin.errors import SourceError
from foretwin.sources.files.guess.survey import surveyed
from foretwin.sources.tabular import is_missing, texts
from foretwin.validation.scaffold.column_names import PLANNED_WORDS, channel_names, class_names, plain_name
from foretwin.validation.scaffold.label_columns import MOST_CLASSES, LabelAxis, axis_name, is_flag
from foretwin.validation.scaffold.measures import significant
from foretwin.validation.scaffold.sides.side_columns import SideTable, SurveyedReadings, few_words, look_at_side
from foretwin.validation.scaffold.sides.side_draft import MadeChannel, SideDraft

MOST_CODES = 6  # of events, each of which is two channels
FEWEST_EVENTS = 5  # of a code
HELD_STEPS = 24  # the class of a failure holds for so many steps before it
LONGEST_GAPS = 2  # the time since an event is told up to so many of the usual times between two


def draft_sides(given: Mapping[str, str | Path], paths: Mapping[str, str], readings: SurveyedReadings) -> SideDraft:
    """Draft the tables `given` by field of the contract, which twin.yaml names by `paths`.

    SourceError where a table has no column of times, or none that names machines.
    """
    tables, told, axis = dict[str, dict[str, Any]](), list[str](), None
    likely = dict[str, dict[str, Any]]()
    remarks, channels, left_out = dict[tuple[str, str], str](), dict[str, MadeChannel](), dict[str, str]()
    spans: dict[str, tuple[Any, Any]] = {"readings": (readings.times.min(), readings.times.max())}
    for name, file in given.items():
        with surveyed(str(file)) as survey:
            side = look_at_side(name, survey, paths[name], readings)
            told.append(_count(side))
            if side.times is not None:
                spans[name] = (side.times.min(), side.times.max())
            match name:
                case "failures":
                    axis = _failures(side)
                case "maintenance":
                    told += _maintenance(side)
                case "events":
                    made, more = _events(side)
                    channels |= made
                    told += more
                case _:
                    made, lost = _attributes(side)
                    channels |= made
                    left_out |= lost
            tables[name] = side.fields
            likely[name] = side.likely
            remarks |= {(name, one): reason for one, reason in side.remarks.items()}
    told += _apart(spans)
    return SideDraft(tables, remarks, channels, axis, tuple(told), left_out, likely)


def _count(side: SideTable) -> str:
    """Return how many rows a table has, of how many machines and which times, and how many are of the readings'."""
    rows, readings = len(side.frame), side.readings
    column = side.fields.get("asset")
    keys = side.keys(column) if column else None
    machines = f" of {keys.nunique()} machines" if keys is not None else ""
    inside = np.ones(rows, np.bool_) if keys is None else keys.isin(readings.names).to_numpy(np.bool_)
    if side.times is None:
        return f"{side.name}: {rows} rows{machines}; {inside.sum()} are of machines of the readings."
    between = side.times.between(readings.times.min(), readings.times.max()).to_numpy(np.bool_)
    first, last = (_shown(one) for one in (side.times.min(), side.times.max()))
    met = int((inside & between).sum())
    return f"{side.name}: {rows} rows{machines}, {first} to {last}; {met} are of machines and times of the readings."


def _apart(spans: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Return a sentence for each two tables that do not overlap in time."""
    names, found = list(spans), []
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            comparable = isinstance(spans[one][0], pd.Timestamp) == isinstance(spans[other][0], pd.Timestamp)
            if comparable and (spans[one][1] < spans[other][0] or spans[other][1] < spans[one][0]):
                told = [f"{name} ({_shown(spans[name][0])} to {_shown(spans[name][1])})" for name in (one, other)]
                found.append(f"times: {told[0]} and {told[1]} do not overlap: nothing of one is learnt for the other.")
    return found


def _shown(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if isinstance(moment, pd.Timestamp) else f"{moment:g}"


def _failures(side: SideTable) -> LabelAxis | None:
    """Name the column of what failed, which becomes a fault axis."""
    column = few_words(side, MOST_CLASSES)
    if column is None:
        return None
    text = texts(side.frame[column])
    counts = text[~is_missing(text)].value_counts()
    values = {value: name for value, name in class_names(counts.index, healthy="").items() if value}
    name = axis_name(column, set())
    step = significant(HELD_STEPS * side.readings.step)
    side.fields |= {"part": column, "mode": column, "axis": name, "values": values, "holds_before": step}
    side.remarks["mode"] = "what failed"
    side.remarks["holds_before"] = f"{HELD_STEPS} steps of the clock"
    return LabelAxis(name, TableFault(column=column, values=values))


def _maintenance(side: SideTable) -> list[str]:
    planned = [c for c in side.free if is_flag(side.frame[c]) and PLANNED_WORDS & set(plain_name(c).split("_"))]
    if planned:
        side.fields["planned"] = planned[0]
        side.remarks["planned"] = "a replacement that was not planned is a failure's"
        side.free.remove(planned[0])
    part = few_words(side)
    if part is not None:
        side.fields["part"], side.remarks["part"] = part, "what was replaced"
    how = "name `action` and `ends` where some are other work, and `parts` where the twin is of some parts alone"
    return [f"maintenance: each row is taken as a replacement, which ends a life; {how}."]


def _events(side: SideTable) -> tuple[dict[str, MadeChannel], list[str]]:
    """Make two channels of each of the most frequent codes."""
    column = few_words(side)
    if column is None or side.times is None:
        raise SourceError(f"{side.survey.table.shown}: no column seems to say what happened; name one `code`")
    text = texts(side.frame[column])
    counts = text[~is_missing(text)].value_counts()
    codes = [str(code) for code in counts[counts >= FEWEST_EVENTS].index[:MOST_CODES]] or [str(counts.index[0])]
    names = channel_names([f"event {code}" if not plain_name(code)[:1].isalpha() else code for code in codes])
    side.fields["code"], side.remarks["code"] = column, "what happened"
    side.fields["counts"] = {f"{name}_count": code for name, code in zip(names, codes, strict=True)}
    side.fields["since"] = {f"{name}_since": code for name, code in zip(names, codes, strict=True)}
    channels = {}
    for name, code in zip(names, codes, strict=True):
        channels[f"{name}_count"] = MadeChannel("1", "sensor", "events since the row before")
        longest = _usual_gap(side, (text == code).to_numpy(np.bool_))
        why = "time since the last event; longer ones, or none, are max"
        channels[f"{name}_since"] = MadeChannel(side.readings.unit, "sensor", why, longest)
    rest = len(counts) - len(codes)
    told = [f"events: channels are made of the {len(codes)} most frequent of {len(counts)} codes in {column!r}."]
    if rest:
        others = ", ".join(f"{code!r} ({count})" for code, count in counts.iloc[len(codes) : len(codes) + 3].items())
        lost = int(counts.iloc[len(codes) :].sum())
        told.append(f"events: {lost} events of {rest} further codes are left out, such as {others}.")
    return channels, told


def _usual_gap(side: SideTable, of_code: "np.ndarray") -> float:
    """Return how long a time since an event is told: twice the usual time between two, in the clock's unit."""
    times: pd.Series[Any] = side.times[of_code] if side.times is not None else pd.Series([], dtype="float64")
    column = side.fields.get("asset")
    machine = texts(side.frame[column])[of_code] if column else pd.Series(0, index=times.index)
    order = times.sort_values().index
    gaps = times.loc[order].groupby(machine.loc[order].to_numpy()).diff().dropna()
    usual: Any = gaps.median() if len(gaps) else times.max() - times.min()
    if isinstance(usual, pd.Timedelta):
        usual = usual.total_seconds() / side.readings.seconds
    return significant(LONGEST_GAPS * float(usual)) or HELD_STEPS * side.readings.step


def _attributes(side: SideTable) -> tuple[dict[str, MadeChannel], dict[str, str]]:
    """Make a channel of each column of numbers."""
    numbers = [c for c in side.free if pd.api.types.is_numeric_dtype(side.frame[c]) and side.frame[c].notna().all()]
    lost = {column: "of the machines holds text, or lacks a value" for column in side.free if column not in numbers}
    if not numbers:
        raise SourceError(f"{side.survey.table.shown}: no column holds a number of each machine; leave out --assets")
    names = channel_names(numbers)
    side.fields["columns"] = dict(names)
    return {name: MadeChannel("?", "setting", f"{column} of the machine") for name, column in names.items()}, lost
