"""How the rows of an unknown table are written, once it is guessed which columns are machine and time."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from foretwin.contract.channels import SECONDS
from foretwin.errors import SourceError
from foretwin.sources.files.file_names import FILE, SINGLE, matches
from foretwin.sources.files.guess.survey import Remarks, Survey
from foretwin.sources.files.guess.time_forms import guess_order, guess_zone
from foretwin.sources.files.places.remote import is_remote
from foretwin.sources.files.reading import group_numbers
from foretwin.sources.files.times import epoch_instants
from foretwin.sources.tabular import texts
from foretwin.validation.scaffold.column_names import ASSET_NAMES, plain_name, squashed
from foretwin.validation.scaffold.column_roles import ROW, Guess
from foretwin.validation.scaffold.column_times import date_digits, epoch_unit, reached_unit
from foretwin.validation.scaffold.label_columns import is_flag, true_cells

TAG_NAMES = (
    *("tag", "tagname", "tagid", "signal", "signalname", "signalid", "sensor", "sensorname", "sensorid", "variable"),
    *("variablename", "channel", "channelname", "channelid", "point", "pointname", "pointid", "parameter", "metric"),
    *("metricname", "item", "itemid", "itemname", "measure", "messstelle", "messgrosse", "kennung"),
)
VALUE_NAMES = ("value", "val", "reading", "measurement", "wert", "messwert")
QUALITY_NAMES = ("quality", "q", "status", "qualitat", "flag")
GOOD_WORDS = {"good", "192", "0", "ok", "gut", "valid", "true", "1"}
MOST_TAGS = 0.2  # of the rows
SHARED = 0.9  # share of the rows whose time another row of the machine has, where each holds one tag


@dataclass(frozen=True)
class Written:
    """Rows (N, columns) in wide shape, and fields of the contract's source with the reasons for them."""

    frame: pd.DataFrame
    fields: dict[str, object]
    remarks: Remarks
    likely: dict[str, object] = field(default_factory=dict)  # fields to read the rows with, where the user is asked
    unit: str | None = None  # of the times, where they are durations

    def lines(self) -> list[str]:
        """Return the fields as lines of twin.yaml, each with its reason."""
        found = []
        for name, value in self.fields.items():
            shown = json.dumps(value, ensure_ascii=False)
            guessed = "asked" if value == "ask" else "guessed"
            reason = self.remarks.get(name, "")
            found.append(f"  {name}: {shown}  # {guessed}" + (f": {' '.join(reason.split())}" if reason else ""))
        return found

    def questions(self) -> list[str]:
        """Return what the user has to answer before the files can be read."""
        return [f"{name}: {self.remarks[name]}." for name, value in self.fields.items() if value == "ask"]

    def sentences(self) -> list[str]:
        """Return the other fields as sentences for a person."""
        return [
            f"{name}: taken as {_short(value)}: {self.remarks.get(name) or 'guessed'}."
            for name, value in self.fields.items()
            if value != "ask" and name != "missing_values"
        ]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 50 else text[:46] + " ..."


def spread_frame(survey: Survey) -> Written:
    """Return the survey's rows with times parsed and, where each row holds one tag, a column per tag."""
    times = {
        name: pd.to_timedelta(form.times, unit="s") if form.form == "duration" else form.times
        for name, form in survey.forms.items()
    }
    clocks = [form.clock for form in survey.forms.values() if form.clock]
    frame = survey.frame.assign(**times).drop(columns=clocks)
    if "names" in survey.fields or survey.table.kind == "arrays" or survey.waveforms:
        whole = "asset" if survey.waveforms and "asset" in frame else SINGLE
        frame[ROW] = frame.groupby(whole).cumcount()  # the time, for want of another one
    fields, remarks = dict(survey.fields), dict(survey.remarks)
    named = {squashed(column): column for column in reversed(frame.columns)}
    tag, value = (next((named[name] for name in names if name in named), None) for names in (TAG_NAMES, VALUE_NAMES))
    quality = next((named[name] for name in QUALITY_NAMES if name in named), None)
    tag, value = (tag, value) if tag and value else _unnamed_tags(frame, named)
    if tag is None or value is None or not _are_tags(frame, tag, value, quality):
        return Written(frame, fields, remarks, {"thousands": None} if fields.get("thousands") == "ask" else {})
    frame = frame.assign(**{tag: texts(frame[tag])})
    fields |= {"tag": tag, "value": value}
    remarks["tag"] = "each row holds the value of one tag"
    if quality is not None:
        held = texts(frame[quality])
        good = [word for word in held.unique() if word.lower() in GOOD_WORDS] or [held.mode().iat[0]]
        fields |= {"quality": quality, "good_quality": tuple(good)}
        remarks["good_quality"] = (
            f"others are read as missing: {', '.join(sorted(set(held) - set(good))[:3]) or 'none'}"
        )
        frame = frame[held.isin(good)]
    keys = [name for name in frame.columns if name not in (tag, value, quality, ROW)]
    wide = frame.pivot_table(
        index=keys, columns=tag, values=value, aggfunc="last", sort=True, dropna=False, observed=True
    )
    return Written(wide.dropna(how="all").reset_index().rename_axis(columns=None), fields, remarks)


def settle_time(survey: Survey, written: Written, guess: Guess) -> Written:
    """Return the rows with the guessed time column as instants where it is one, in order, and what tells its form."""
    frame, fields, remarks = written.frame, dict(written.fields), dict(written.remarks)
    if guess.single_rows and guess.time == ROW:
        frame = frame.assign(**{ROW: 0})
    values, form = frame[guess.time], survey.forms.get(guess.time)
    if guess.time == ROW:
        fields["time_format"], remarks["time_format"] = "row", "no column holds the time: rows are counted"
    elif form is not None and form.form is not None:
        fields["time_format"], remarks["time_format"] = form.form, form.remark
        likely = {"time_format": form.likely} if form.likely else {}
        written = replace(written, likely=written.likely | likely)
        if form.form == "duration":
            seconds = pd.Series(values.dt.total_seconds())
            unit = reached_unit(seconds.groupby(group_numbers(frame, [guess.asset])).diff())
            values, written = seconds / SECONDS[unit], replace(written, unit=unit)
    elif (digits := date_digits(values)) is not None:
        fields["time_format"], remarks["time_format"] = digits, "dates written as numbers"
        values = pd.to_datetime(texts(values), format=digits, utc=True)
    elif epoch_unit(values) is not None:
        unit = f"epoch_{epoch_unit(values)}"
        fields["time_format"], remarks["time_format"] = unit, "numbers since 1970"
        values = epoch_instants(np.asarray(values, dtype=np.float64), unit)
    if form is not None and form.clock is not None:
        fields["time_of_day"], remarks["time_of_day"] = form.clock, f"beside the date in {guess.time!r}"
    if "tag" in fields and _is_unordered(survey, fields, guess):
        fields["time_order"], remarks["time_order"] = "sort", "the times of a tag fall"
    settled = replace(written, frame=frame.assign(**{guess.time: values}), fields=fields, remarks=remarks)
    if not pd.api.types.is_datetime64_any_dtype(values):
        settled = _in_order(settled, guess, zoned=True)
        _refuse_falling(settled.frame, guess, survey.table.shown)
        return settled
    original = survey.frame[guess.time]
    dated = pd.api.types.is_datetime64_any_dtype(original)
    zoned = form.zoned if form is not None else not dated or original.dt.tz is not None
    return _in_order(settled, guess, zoned)


def asset_fields(survey: Survey, asset: str) -> dict[str, object]:
    """Return the fields that tell the machine, and the files; without a column, each file is of one machine or run.

    SourceError where no pattern tells the files from others in their place.
    """
    if survey.pattern is not None:
        named = {SINGLE: {"asset": FILE}, "asset": {}}.get(asset, {"asset": asset})
        return {"pattern": survey.pattern, **named}
    names = list(survey.names if survey.sample else dict.fromkeys(survey.frame[SINGLE]))
    pattern = _pattern(names) if len(names) > 1 or survey.left_out else None
    mixed = [name for name in survey.left_out if pattern and matches(pattern, name) is not None]
    if mixed:
        raise SourceError(f"{survey.table.shown}: {mixed[0]} has another shape; name the files by a glob without it")
    if asset != SINGLE:
        told: dict[str, object] = {"asset": asset}
        if pattern and survey.left_out:
            told["pattern"] = pattern.replace("{asset}", "{file}").replace("{run}", "{part}")
        return told
    if len(names) == 1 and not survey.left_out:
        stem = plain_name(PurePosixPath(str(survey.table.shown)).name.split(".")[0]).replace("_", "-")
        return {"single_asset": stem or "machine"}
    return {"pattern": pattern or ""}


def source_path(name: str, file: str | Path, project: Path | None) -> str:
    """Return the path as twin.yaml names it: links and URLs kept, relative to data/<name>/ inside the project."""
    if is_remote(str(file)):
        return str(file)
    written = Path(os.path.abspath(file))  # noqa: PTH100 - resolve() would follow links
    places = [written, written.parent.resolve() / written.name]
    roots = [Path(os.path.abspath(project)), project.resolve()] if project else []  # noqa: PTH100
    for place, root in zip(places, roots, strict=False):
        if place.is_relative_to(root):
            return Path(os.path.relpath(place, root / "data" / name)).as_posix()
    return written.as_posix()


def missing_policy(frame: pd.DataFrame, guess: Guess, columns: Sequence[str]) -> str:
    """Return what to do with empty cells of these columns: of two kinds where a run begins with some."""
    empty = frame[list(columns)].isna().any(axis=1)
    if not empty.any():
        return "refuse"
    lives = group_numbers(frame, [name for name in (guess.asset, guess.run) if name])
    begins = ~pd.Series(lives).duplicated()
    if guess.failure:
        failed = pd.Series(true_cells(frame[guess.failure]))
        begins |= failed.groupby(lives).shift(fill_value=False)
    return "carry_forward_after_first" if (empty.reset_index(drop=True) & begins).any() else "carry_forward"


def _pattern(names: list[str]) -> str:
    """Return a pattern of the files' names: folders are machines and files runs, or files are machines."""
    paths = [PurePosixPath(name) for name in names]
    if len(paths) == 1:
        return f"{{asset}}{''.join(paths[0].suffixes)}"
    if len({path.parent for path in paths}) > 1:
        ending = "".join(paths[0].suffixes)
        return f"{{asset}}/{{run}}{ending}" if len({"".join(path.suffixes) for path in paths}) == 1 else "{asset}/{run}"
    plain = [path.name for path in paths]
    start = next((n for n, chars in enumerate(zip(*plain, strict=False)) if len(set(chars)) > 1), min(map(len, plain)))
    turned = [name[::-1] for name in plain]
    end = next((n for n, chars in enumerate(zip(*turned, strict=False)) if len(set(chars)) > 1), 0)
    end = min(end, min(map(len, plain)) - start - 1)
    # Digits and letters at the ends belong to the names: of m10 and m11 the machine is 10, not 0.
    head = plain[0][:start].rstrip("0123456789")
    tail = plain[0][len(plain[0]) - end :].lstrip("0123456789") if end else ""
    return f"{head}{{asset}}{tail}"


def _are_tags(frame: pd.DataFrame, tag: str, value: str, quality: str | None) -> bool:
    """Return whether rows hold one tag each: few names, often repeated, and no further column of numbers.

    Names that are numbers are tags where several of them share a time.
    """
    names = texts(frame[tag])
    numeric = [
        name
        for name in frame.columns
        if name not in (tag, value, quality)
        and pd.api.types.is_float_dtype(frame[name])
        and epoch_unit(frame[name]) is None
    ]
    repeated = 2 <= names.nunique() <= max(2, MOST_TAGS * len(names))
    if not repeated or numeric or not pd.api.types.is_numeric_dtype(frame[value]):
        return False
    return not names.str.isdigit().all() or _tells_rows_apart(frame, tag, value, quality)


def _tells_rows_apart(frame: pd.DataFrame, tag: str, *others: str | None) -> bool:
    """Return whether most rows have a twin but for the tag and the other columns, and none with the tag."""
    keys = [name for name in frame.columns if name not in (tag, *others, ROW)]
    without = frame.duplicated(keys, keep=False).mean() if keys else 1.0
    return bool(without > SHARED and frame.duplicated([*keys, tag]).mean() < 1 - SHARED)


def _unnamed_tags(frame: pd.DataFrame, named: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the columns of tag and value under other names, where a column names the machine.

    The tag is the one column of words without which several rows would be of one machine and time, the value the one
    column of fractions.
    """
    asset = next((named[name] for name in ASSET_NAMES if name in named), None)
    values = [name for name in frame.columns if pd.api.types.is_float_dtype(frame[name])]
    values = [name for name in values if epoch_unit(frame[name]) is None]
    if asset is None or len(values) != 1:
        return None, None
    free = [name for name in frame.columns if name not in (asset, SINGLE, ROW, values[0])]
    words = [name for name in free if pd.api.types.is_string_dtype(frame[name]) and not is_flag(frame[name])]
    tags = [name for name in words if _tells_rows_apart(frame, name, values[0])]
    return (tags[0], values[0]) if len(tags) == 1 and len(free) > 1 else (None, None)


def _in_order(written: Written, guess: Guess, zoned: bool) -> Written:
    """Find the zone or order by which the times of each machine rise."""
    frame, fields, remarks = written.frame, dict(written.fields), dict(written.remarks)
    times = frame[guess.time].reset_index(drop=True)
    if pd.api.types.is_datetime64_any_dtype(times):
        times = pd.to_datetime(times, utc=True)
    groups = group_numbers(frame, [name for name in (guess.asset, guess.run) if name])
    zone = None if zoned else guess_zone(times, groups)
    if zone is not None:
        fields["time_zone"] = zone
        remarks["time_zone"] = "an hour is there twice, as by this zone's rule: write the machines' own zone"
        return replace(written, fields=fields, remarks=remarks)
    order, count = guess_order(times, groups)
    if order is None:
        return written
    fields["time_order"] = order
    remarks["time_order"] = f"{count} rows are not later than one before"
    ranked = np.lexsort((times.argsort().argsort(), groups)) if order == "sort" else np.arange(len(frame))
    return replace(written, frame=frame.iloc[ranked].reset_index(drop=True), fields=fields, remarks=remarks)


def _is_unordered(survey: Survey, fields: dict[str, object], guess: Guess) -> bool:
    """Return whether the times of some tag fall in the file."""
    form = survey.forms.get(guess.time)
    times = form.times if form is not None else survey.frame[guess.time].reset_index(drop=True)
    groups = group_numbers(survey.frame, [name for name in (guess.asset, guess.run, str(fields["tag"])) if name])
    falls: bool = (times.groupby(groups).diff() < times.iloc[0] - times.iloc[0]).any()
    return falls


def _refuse_falling(frame: pd.DataFrame, guess: Guess, shown: str) -> None:
    """Raise SourceError where a number falls and no column names the machine: there may be more than one."""
    falls = (frame[guess.time].groupby(frame[SINGLE]).diff() < 0).any() if SINGLE in frame else False
    if falls and guess.asset == SINGLE and not guess.run and not guess.failure:
        raise SourceError(f"{shown}: no column seems to name the machine, and the time falls; name one `asset`")
