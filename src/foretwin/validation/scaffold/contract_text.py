"""The text of a first twin.yaml, each guess marked as one."""

import json
import math
from collections.abc import Mapping, Sequence

import pandas as pd

from foretwin.contract.holdout import Holdout
from foretwin.contract.source import TableSource
from foretwin.validation.scaffold.column_names import unit_of
from foretwin.validation.scaffold.column_roles import Guess
from foretwin.validation.scaffold.label_columns import LabelAxis
from foretwin.validation.scaffold.measures import TableProfile, TimeNotation, is_setting, significant, widened
from foretwin.validation.scaffold.sparse_channels import Sparse
from foretwin.validation.scaffold.written import Written

FEWEST_MACHINES, FEWEST_WINDOWS = 20, 4  # of each, for a baseline of every machine
SHORTEST_WINDOW, LONGEST_WINDOW = 10, 60
CAP_SHARE = 0.6  # of a median life: at more remaining life most machines show no wear
OPEN_SHARE, CLOSE_SHARE = 0.25, 0.4  # of the cap
SILENT_STEPS, SILENT_GAPS = 24, 2  # a machine is stale after so many steps, or of the file's longest gaps
JUMP_STEPS = 1000  # what the clock may jump by, where longest_gap is not set


def source_lines(name: str, source: TableSource, guess: Guess, written: Written) -> list[str]:
    """Return name, title and `source`."""
    lines = [
        "# A first contract, guessed from the file: check every line, above all those marked `guessed`.",
        f"name: {name}",
        f"title: {_quoted(name.replace('-', ' ').capitalize())}",
        "",
        "source:",
        "  kind: table",
        f"  path: {_quoted(source.path)}",
        *_asset_lines(source),
        *([f"  time: {_quoted(source.time)}  # guessed"] if source.time else []),
        *written.lines(),
    ]
    if source.spellings:
        lines.append("  spellings: join  # guessed: some names differ only in case, width, blanks or zeros")
    if guess.run:
        lines.append(f"  run: {_quoted(guess.run)}  # guessed: a new life of the machine begins where it changes")
    if guess.failure:
        lines.append(f"  failure: {_quoted(guess.failure)}  # guessed: true on the row of a failure")
    if guess.rul:
        lines.append(f"  rul: {_quoted(guess.rul)}  # guessed: remaining life in the clock's unit")
    if guess.split:
        lines.append(f"  split: {_quoted(guess.split)}  # guessed: says what is for the test, or numbers the folds")
    if guess.subset:
        lines.append(
            f"  subset: {_quoted(guess.subset)}  # guessed: names parts of the data, whose figures are given apart"
        )
    lines += _missing_labels(guess)
    if source.missing != "refuse":
        lines.append(f"  missing: {source.missing}  # guessed: some values are missing; `refuse` makes that an error")
    if source.rates:
        lines.append(f"  rates: [{', '.join(source.rates)}]  # guessed: counters, read as their rise per unit of time")
    lines += _label_source(guess.axes)
    lines += guess.sides.lines()
    renamed = {channel: column for channel, column in source.columns.items() if channel != column}
    lines += ["  columns:  # channel: column of the file"] if renamed else []
    lines += [f"    {channel}: {_quoted(column)}" for channel, column in renamed.items()]
    lines += ["  # Left out:"] if guess.left_out else []
    return lines + [f"  #   {_quoted(column)}: {reason}" for column, reason in guess.left_out.items()]


def _asset_lines(source: TableSource) -> list[str]:
    if source.single_asset is not None:
        return [f"  single_asset: {_quoted(source.single_asset)}  # guessed: all rows are of one machine, of this name"]
    if source.asset is None:
        return [f"  pattern: {_quoted(source.pattern or '')}  # guessed: each file is of one machine, or a run of it"]
    lines = [f"  pattern: {_quoted(source.pattern)}  # guessed: other files are left out"] if source.pattern else []
    return [*lines, f"  asset: {_quoted(source.asset)}  # guessed: names the machine"]


def clock_lines(guess: Guess, notation: TimeNotation, measured: TableProfile) -> list[str]:
    """Return `clock`."""
    start = measured.counts_age or "time is the machine's age; false if the records begin in mid-life"
    asked = f": write the unit of column {_quoted(guess.time)}" if notation.unit == "?" else ""
    lines = [
        "",
        "clock:",
        f"  unit: {_quoted(notation.unit)}  # guessed{asked}",
        f"  step: {_number(notation.step)}  # guessed: the median between two rows",
        f"  counts_from_start: {str(not measured.counts_age).lower()}  # guessed: {start}",
    ]
    if measured.longest_gap > JUMP_STEPS * notation.step:
        gap = significant(2 * measured.longest_gap)
        lines.append(f"  longest_gap: {_number(gap)}  # guessed: twice the file's longest; beyond, a clock jumped")
    return lines


def channel_lines(
    rows: pd.DataFrame, source: TableSource, guess: Guess, units: Mapping[str, str], sparse: Mapping[str, Sparse]
) -> list[str]:
    """Return `channels`, and regimes to be considered."""
    lines = [
        "",
        "# Units marked ? are not in the file. min and max are the file's own, widened: put the physical limits there.",
        "# role: `setting` is what somebody sets (load, speed), `sensor` what is measured; guessed by distinct values.",
        "channels:",
    ]
    others = {*source.rates, *sparse, *guess.categories}
    settings = [name for name in guess.channels if is_setting(rows[name]) and name not in others]
    for name, column in guess.channels.items():
        if name in guess.categories:
            words = ", ".join(map(_quoted, guess.categories[name]))
            held = sparse[name].text() if name in sparse else ""
            lines.append(f"  {name}: {{categories: [{words}]{held}}}  # guessed: another word is taken as unknown")
            continue
        low, high = widened(float(rows[name].min()), float(rows[name].max()))
        unit = _quoted(unit_of(column) or units.get(column) or "?")
        role = "setting" if name in settings else "sensor"
        more = f"{sparse[name].text()}}}  # guessed: filled on {sparse[name].filled:.0%}" if name in sparse else "}"
        lines.append(f"  {name}: {{unit: {unit}, role: {role}, min: {_number(low)}, max: {_number(high)}{more}")
    for name, one in guess.sides.channels.items():
        low, high = widened(float(rows[name].min()), float(rows[name].max()))
        limits = f"min: 0, max: {_number(one.longest)}" if one.longest else f"min: {_number(low)}, max: {_number(high)}"
        lines.append(f"  {name}: {{unit: {_quoted(one.unit)}, role: {one.role}, {limits}}}  # guessed: {one.why}")
    if settings:
        lines += [
            "",
            "# Where sensors read differently under different settings, say under how many:",
            f"# regimes: {{channels: [{', '.join(settings)}], count: 3}}",
        ]
    return lines


def output_lines(guess: Guess, notation: TimeNotation, measured: TableProfile) -> list[str]:
    """Return `rul`, `faults` and `cases`."""
    cap, unit = significant(CAP_SHARE * measured.median_life) or 1.0, notation.unit
    lines: list[str] = []
    if has_rul(guess):
        lines += [
            "",
            "rul:",
            f"  cap: {_number(cap)}  # guessed: {CAP_SHARE:.0%} of a median life of {measured.median_life:g} {unit}",
            "  remedy:  # what a technician needs",
            *(f"    {line}" for line in REMEDY),
        ]
    if has_health(guess):
        lines += _health_lines(cap, guess, measured)
    if guess.all_axes:
        lines += ["", "faults:  # guessed from the columns of labels"]
        for axis in guess.all_axes:
            lines += [f"  {axis.name}:", f"    title: {_quoted(axis.name.replace('_', ' ').capitalize())}"]
            lines += ["    classes:  # the first one is healthy", "      healthy: null"]
            for one in axis.classes[1:]:
                lines += [f"      {one}:", *(f"        {line}" for line in REMEDY)]
    lines += ["", "cases:"]
    if has_rul(guess):
        lines += [
            "  # A case opens when the lower bound of the remaining life falls below this:",
            f"  open_below: {_number(significant(OPEN_SHARE * cap))}  # guessed",
            f"  close_above: {_number(significant(CLOSE_SHARE * cap))}  # guessed",
        ]
    silence = significant(max(SILENT_STEPS * notation.step, SILENT_GAPS * measured.longest_gap))
    return [*lines, f"  stale_after: {_number(silence)}  # guessed: a machine that is silent for so long is told"]


def _health_lines(cap: float, guess: Guess, measured: TableProfile) -> list[str]:
    whole = measured.median_rows / window_length(guess, measured)
    own = measured.assets >= FEWEST_MACHINES and whole >= FEWEST_WINDOWS
    baseline = "  baseline: 1  # guessed: whole windows of its first life, by which each machine is judged later"
    return [
        "",
        "# All rows are presumed to be normal. Leave out known bad times, or name them as labels of an axis.",
        "health:",
        "  false_alarms: 12  # guessed: per machine and year; with fewer, a departure is told later",
        *([baseline] if own else []),
        "  remedy:  # what a technician needs",
        *(f"    {line}" for line in REMEDY),
        "",
        "# Verdicts on departures teach further questions, under this contract: when a machine fails, and which fault",
        "# it has of those that you name. Take the # away from the lines of what shall be learnt so.",
        f"# rul: {{cap: {_number(cap)}, remedy: {{part: to be named, instruction: to be written, lead_time: 0}}}}",
        "# faults:",
        "#   bearing: {title: Bearing, classes: {sound: null, worn: {part: to be named, instruction: to be written,",
        "#     lead_time: 0}}}",
    ]


def window_length(guess: Guess, measured: TableProfile) -> int:
    """Return the rows of a window."""
    least = min(max(measured.median_rows, 2), SHORTEST_WINDOW)  # a run may be shorter than any window should be
    return 1 if guess.single_rows else int(min(max(measured.median_rows // 4, least), LONGEST_WINDOW))


def rest_lines(rows: pd.DataFrame, guess: Guess, measured: TableProfile) -> list[str]:
    """Return `window` and `quality`."""
    length = window_length(guess, measured)
    reason = "each machine has one row: a risk, without a history" if length == 1 else "rows that one prediction sees"
    lines = [
        "",
        "window:",
        f"  length: {length}  # guessed: {reason}",
        "",
        "quality:",
        f"  min_assets: {max(1, measured.assets)}  # the file has {measured.assets}",
    ]
    if has_rul(guess):
        fewest = min(3, max(1, measured.lives))
        lines.append(f"  min_failures: {fewest}  # runs that end in a failure; the file has {measured.lives}")
    if measured.shortest_rows < 2:
        lines.append("  min_run_rows: 1  # guessed: the file has a run of a single row")
    if measured.known_rul < 0.5 and guess.knows_ends:
        lines.append(f"  min_known_rul: {_share(measured.known_rul)}")
    if measured.known_faults < 0.5:
        lines.append(f"  min_known_faults: {_share(measured.known_faults)}")
    constant = [name for name in (*guess.channels, *guess.sides.channels) if rows[name].min() == rows[name].max()]
    if constant:
        lines.append(f"  may_be_constant: [{', '.join(constant)}]  # guessed: constant in the file")
    return lines


def holdout_lines(holdout: Holdout, why: str) -> list[str]:
    """Return `holdout`, where machines are few."""
    if not why:
        return []
    lines = ["", f"holdout:  # {why}", f"  by: {holdout.by}"]
    return [*lines, "  stratify: true"] if holdout.stratify else lines


def has_rul(guess: Guess) -> bool:
    """Return whether the contract asks for the remaining life: where something tells of failures or of it."""
    return guess.knows_ends


def has_health(guess: Guess) -> bool:
    """Return whether the contract asks what is normal, and what is not: where there is no label."""
    return not (guess.knows_ends or guess.all_axes)


REMEDY = (
    "part: to be named",
    "instruction: to be written",
    "lead_time: 0  # until the part is there, in the clock's unit",
)


def _missing_labels(guess: Guess) -> list[str]:
    if guess.knows_ends:
        return []
    if guess.all_axes:
        return [
            "  # No column seems to say when a machine failed. To learn the remaining life too, name a column that is",
            "  # true on the row of a failure as `failure`, or one with the remaining life as `rul`, and add `rul:`.",
        ]
    return [
        "  # No column seems to say when a machine failed: what is normal is learnt, and departures are told. To learn",
        "  # the remaining life too, name a column that is true on the row of a failure as `failure`, or one with the",
        "  # remaining life as `rul`; write a rule by which lives end, as `reached: force > 90`; draft anew with a",
        "  # table of --failures; or, if the last row of every run is its failure, change this line to true. Then take",
        "  # the # from `rul` below:",
        "  runs_end_in_failure: false",
    ]


def _label_source(axes: Sequence[LabelAxis]) -> list[str]:
    lines = ["  faults:  # guessed: columns of labels, which no network sees as inputs"] if axes else []
    for axis in axes:
        lines.append(f"    {axis.name}:")
        if axis.fault.spans is not None:
            lines.append("      spans:  # guessed: within a span of that file its class holds, outside `healthy`")
            spans = axis.fault.spans.model_dump()
            lines += [f"        {field}: {_quoted(str(value))}" for field, value in spans.items()]
            values = [f"        {_quoted(value)}: {name}" for value, name in dict(axis.fault.values).items()]
            lines += ["      values:  # others are unknown", *values] if values else []
        elif axis.fault.column is None:
            lines.append("      flags:  # column that is true: class; `healthy` where none is, unknown where two are")
            lines += [f"        {_quoted(column)}: {name}" for column, name in axis.fault.flags.items()]
        else:
            lines += [f"      column: {_quoted(axis.fault.column)}", "      values:  # others are unknown"]
            lines += [f"        {_quoted(value)}: {name}" for value, name in dict(axis.fault.values).items()]
    return lines


def _share(known: float) -> str:
    return f"{math.floor(known * 10) / 10:g}  # guessed: known on {known:.0%} of the rows"


def _number(value: float) -> str:
    """Format a number so that YAML 1.1 reads it as one: 1.0e-05, not 1e-05."""
    text = f"{value:.12g}"
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent}" if e else text


def _quoted(text: str) -> str:
    """Quote text as a double-quoted YAML scalar on one line; JSON's strings are valid YAML."""
    return json.dumps(text, ensure_ascii=not text.isprintable())
