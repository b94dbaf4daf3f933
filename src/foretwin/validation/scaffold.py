"""Scaffold of a twin.yaml for a user's own table: guesses for a person to correct, each marked as one."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from foretwin.contract.source import TableSource
from foretwin.contract.twin import SECONDS, Twin
from foretwin.errors import ContractError, SourceError
from foretwin.sources.table import read_rows_of
from foretwin.sources.tabular import open_table
from foretwin.validation.scaffold_guess import (
    SETTING_VALUES,
    UNITS_BY_NAME,
    Guess,
    guess_columns,
    instants,
    squashed,
    unit_of,
)

SHORTEST_WINDOW, LONGEST_WINDOW = 10, 60
CAP_SHARE = 0.6  # of a median life: at more remaining life most machines show no wear
OPEN_SHARE, CLOSE_SHARE = 0.25, 0.4  # of the cap


@dataclass(frozen=True)
class TableProfile:
    """Measures of the canonical rows; times are in the clock's unit."""

    assets: int
    lives: int  # runs that end in a known failure
    shortest_rows: int  # of a run
    median_rows: float
    median_life: float
    known_rul: float  # share of rows from 0 to 1
    from_start: bool  # whether times begin near 0


def describe_file(name: str, file: Path) -> str:
    """Write the text of a first twin.yaml for twin `name` from a CSV or Parquet file; it is a valid contract.

    SourceError where the file cannot be read, or has no time, no machine or no channel; ContractError for an
    invalid name.
    """
    table = open_table(file, str(file))
    named = [column for column in table.columns if column]
    frame = table.read(named)
    guess = guess_columns(table, frame)
    unit, step = _clock(table.shown, frame, guess)
    gaps = any(frame[column].isna().any() for column in guess.channels.values())
    source = TableSource(
        kind="table",
        path=file.resolve().as_posix(),
        asset=guess.asset,
        time=guess.time,
        run=guess.run,
        columns=guess.channels,
        failure=guess.failure,
        rul=guess.rul,
        missing="carry_forward" if gaps else "refuse",
    )
    rows = read_rows_of(_draft(name, source, unit, step), source, file)
    measured = _measure(rows)
    parts = [
        _source_lines(name, source, guess),
        _clock_lines(guess, unit, step, measured),
        _channel_lines(rows, guess),
        _label_lines(guess, unit, measured),
        _rest_lines(rows, guess, measured),
    ]
    return "\n".join(line for part in parts for line in part) + "\n"


def _clock(shown: str, frame: pd.DataFrame, guess: Guess) -> tuple[str, float]:
    """Guess unit and median step; the unit of timestamps is the largest of d, h, min and s that the step reaches."""
    values = frame[guess.time]
    stamped = not pd.api.types.is_numeric_dtype(values)
    if stamped:
        values = instants(values)
        values = (values - values.min()).dt.total_seconds()
    steps = values.groupby(frame[guess.asset]).diff()
    step = float(steps[steps > 0].median())
    if math.isnan(step):
        raise SourceError(f"{shown}: column {guess.time!r}: time never rises within a machine; sort the file by time")
    if not stamped:
        return unit_of(guess.time) or UNITS_BY_NAME.get(squashed(guess.time), "?"), _rounded(step, 6)
    unit = next((unit for unit in ("d", "h", "min") if step >= SECONDS[unit]), "s")
    return unit, _rounded(step / SECONDS[unit], 6)


def _draft(name: str, source: TableSource, unit: str, step: float) -> Twin:
    """Build a minimal contract to read the rows with."""
    channel = {"unit": "?", "role": "sensor", "min": 0, "max": 1}
    content = {
        "name": name,
        "title": name,
        "source": source,
        "clock": {"unit": unit, "step": step},
        "channels": dict.fromkeys(source.columns, channel),
        "rul": {"cap": 1, "remedy": {"part": "?", "instruction": "?", "lead_time": 0}},
        "window": {"length": SHORTEST_WINDOW},
    }
    try:
        return Twin.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise ContractError(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _measure(rows: pd.DataFrame) -> TableProfile:
    runs = rows.groupby(["asset", "run"], sort=False)
    lives = runs.agg(rows=("time", "size"), begin=("time", "min"), end=("time", "max"), rul=("rul", "max"))
    failed = (runs["rul"].min() == 0).to_numpy()
    life = (lives["end"] - lives["begin"]).where(lives["rul"].isna(), lives["rul"])
    whole = lives["rul"].notna() if lives["rul"].notna().any() else lives["rul"].isna()
    return TableProfile(
        assets=rows["asset"].nunique(),
        lives=int(failed.sum()),
        shortest_rows=int(lives["rows"].min()),
        median_rows=float(lives.loc[whole, "rows"].median()),
        median_life=float(life[whole].median()),
        known_rul=float(rows["rul"].notna().mean()),
        from_start=bool(lives["begin"].median() <= life.median()),
    )


def _source_lines(name: str, source: TableSource, guess: Guess) -> list[str]:
    lines = [
        "# A first contract, guessed from the file: check every line, above all those marked `guessed`.",
        f"name: {name}",
        f"title: {_quoted(name.replace('-', ' ').capitalize())}",
        "",
        "source:",
        "  kind: table",
        f"  path: {_quoted(source.path)}",
        f"  asset: {_quoted(guess.asset)}  # guessed: names the machine",
        f"  time: {_quoted(guess.time)}  # guessed",
    ]
    if guess.run:
        lines.append(f"  run: {_quoted(guess.run)}  # guessed: a new life of the machine begins where it changes")
    if guess.failure:
        lines.append(f"  failure: {_quoted(guess.failure)}  # guessed: true on the row of a failure")
    if guess.rul:
        lines.append(f"  rul: {_quoted(guess.rul)}  # guessed: remaining life in the clock's unit")
    if not guess.failure and not guess.rul:
        lines += [
            "  # Missing: no column seems to say when a machine failed, so there is nothing to learn from yet. Name a",
            "  # column that is true on the row of a failure as `failure`, or one with the remaining life as `rul`;",
            "  # or, if the last row of every run is its failure, change this line to true:",
            "  runs_end_in_failure: false",
        ]
    if source.missing == "carry_forward":
        lines.append("  missing: carry_forward  # guessed: some values are missing; `refuse` makes that an error")
    renamed = {channel: column for channel, column in guess.channels.items() if channel != column}
    lines += ["  columns:  # channel: column of the file"] if renamed else []
    lines += [f"    {channel}: {_quoted(column)}" for channel, column in renamed.items()]
    lines += ["  # Left out:"] if guess.left_out else []
    return lines + [f"  #   {_quoted(column)}: {reason}" for column, reason in guess.left_out.items()]


def _clock_lines(guess: Guess, unit: str, step: float, measured: TableProfile) -> list[str]:
    start = "time is the machine's age; false if the records begin in mid-life"
    if not measured.from_start:
        start = "the times begin far from 0, so they are no age"
    return [
        "",
        "clock:",
        f"  unit: {_quoted(unit)}  # guessed" + (": write the unit of column " + _quoted(guess.time)) * (unit == "?"),
        f"  step: {_number(step)}  # guessed: the median between two rows",
        f"  counts_from_start: {str(measured.from_start).lower()}  # guessed: {start}",
    ]


def _channel_lines(rows: pd.DataFrame, guess: Guess) -> list[str]:
    lines = [
        "",
        "# Units marked ? are not in the file. min and max are the file's own, widened: put the physical limits there.",
        "# role: `setting` is what somebody sets (load, speed), `sensor` what is measured; guessed by distinct values.",
        "channels:",
    ]
    for name, column in guess.channels.items():
        low, high = widened(float(rows[name].min()), float(rows[name].max()))
        unit = _quoted(unit_of(column) or "?")
        role = "setting" if is_setting(rows[name]) else "sensor"
        lines.append(f"  {name}: {{unit: {unit}, role: {role}, min: {_number(low)}, max: {_number(high)}}}")
    settings = [name for name in guess.channels if is_setting(rows[name])]
    if settings:
        lines += [
            "",
            "# Where sensors read differently under different settings, say under how many:",
            f"# regimes: {{channels: [{', '.join(settings)}], count: 3}}",
        ]
    return lines


def _label_lines(guess: Guess, unit: str, measured: TableProfile) -> list[str]:
    cap = _rounded(CAP_SHARE * measured.median_life) or 1.0
    known = "life" if guess.failure or guess.rul else "record"
    return [
        "",
        "rul:",
        f"  cap: {_number(cap)}  # guessed: {CAP_SHARE:.0%} of a median {known} of {measured.median_life:g} {unit}",
        "  remedy:  # what a technician needs",
        "    part: to be named",
        "    instruction: to be written",
        "    lead_time: 0  # until the part is there, in the clock's unit",
        "",
        "cases:  # a case opens when the lower bound of the remaining life falls below this",
        f"  open_below: {_number(_rounded(OPEN_SHARE * cap))}  # guessed",
        f"  close_above: {_number(_rounded(CLOSE_SHARE * cap))}  # guessed",
    ]


def _rest_lines(rows: pd.DataFrame, guess: Guess, measured: TableProfile) -> list[str]:
    length = int(min(max(measured.median_rows // 4, SHORTEST_WINDOW), LONGEST_WINDOW))
    lines = [
        "",
        "window:",
        f"  length: {length}  # guessed: rows that one prediction sees",
        "",
        "quality:",
        f"  min_assets: {max(3, measured.assets)}  # the file has {measured.assets}",
        f"  min_failures: 3  # runs that end in a failure; the file has {measured.lives}",
    ]
    if measured.shortest_rows < 2:
        lines.append("  min_run_rows: 1  # guessed: the file has a run of a single row")
    if measured.known_rul < 0.5 and (guess.failure or guess.rul):
        share = math.floor(measured.known_rul * 10) / 10
        lines.append(f"  min_known_rul: {share:g}  # guessed: known on {measured.known_rul:.0%} of the rows")
    constant = [name for name in guess.channels if rows[name].min() == rows[name].max()]
    if constant:
        lines.append(f"  may_be_constant: [{', '.join(constant)}]  # guessed: constant in the file")
    return lines


def is_setting(values: "pd.Series[float]") -> bool:
    """Return whether a quantity has so few distinct values that it is probably a setting."""
    distinct = values.nunique()
    return 1 < distinct <= min(SETTING_VALUES, len(values) / 10)


def widened(low: float, high: float) -> tuple[float, float]:
    """Return round limits well outside of [low, high]: by half of the range on each side, but not past 0."""
    span = high - low or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span))
    below, above = math.floor((low - span / 2) / step) * step, math.ceil((high + span / 2) / step) * step
    below = 0.0 if low >= 0 > below else below
    above = 0.0 if low < 0 and high <= 0 < above else above
    return _rounded(below, 12), _rounded(above, 12)


def _rounded(value: float, digits: int = 2) -> float:
    return float(f"{value:.{digits}g}")


def _number(value: float) -> str:
    """Format a number so that YAML 1.1 reads it as one: 1.0e-05, not 1e-05."""
    text = f"{value:.12g}"
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent}" if e else text


def _quoted(text: str) -> str:
    """Quote text as a double-quoted YAML scalar on one line; JSON's strings are valid YAML."""
    return json.dumps(text, ensure_ascii=not text.isprintable())
