"""First contract of a machine from a user's own table: guesses for a person to correct, each marked as one."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ValidationError

from foretwin.contract.channels import SECONDS
from foretwin.contract.holdout import Holdout
from foretwin.contract.parts import pattern_words
from foretwin.contract.source import TableSource
from foretwin.contract.twin import Twin
from foretwin.dataset.machine_names import first_spellings, spelling_key
from foretwin.errors import ContractError
from foretwin.sources.files.guess.long_tables import of_whole_machines
from foretwin.sources.files.guess.survey import Survey, surveyed
from foretwin.sources.files.places.copies import LABELS, bring_side_tables
from foretwin.sources.lives.counters import is_flattened
from foretwin.sources.snapshots.snapshot_survey import survey_waveforms
from foretwin.sources.table import read_rows_of
from foretwin.sources.tabular import is_missing, texts
from foretwin.validation.few_units import ENOUGH, LabelledUnits, few_units_hints, propose_holdout
from foretwin.validation.how_ended import how_lives_ended
from foretwin.validation.label_hints import label_hints
from foretwin.validation.scaffold.assumptions import Assumptions, assumptions_of
from foretwin.validation.scaffold.column_meanings import Told
from foretwin.validation.scaffold.column_names import TIME_NAMES, squashed
from foretwin.validation.scaffold.column_roles import ROW, Guess, guess_columns
from foretwin.validation.scaffold.column_times import instants
from foretwin.validation.scaffold.contract_text import (
    SHORTEST_WINDOW,
    channel_lines,
    clock_lines,
    has_health,
    has_rul,
    holdout_lines,
    output_lines,
    rest_lines,
    source_lines,
)
from foretwin.validation.scaffold.label_columns import LabelAxis, is_label_name
from foretwin.validation.scaffold.measures import (
    TableFindings,
    TimeNotation,
    guess_clock,
    measure_table,
    telling_channels,
)
from foretwin.validation.scaffold.sides.label_files import span_axis
from foretwin.validation.scaffold.sides.side_columns import SurveyedReadings
from foretwin.validation.scaffold.sides.side_draft import SideDraft
from foretwin.validation.scaffold.sides.side_files import draft_sides
from foretwin.validation.scaffold.sparse_channels import Sparse, find_sparse
from foretwin.validation.scaffold.split_columns import with_splits
from foretwin.validation.scaffold.waveform_text import waveform_lines, with_channels
from foretwin.validation.scaffold.written import (
    Written,
    asset_fields,
    missing_policy,
    settle_time,
    source_path,
    spread_frame,
)

UNMEASURED = {"unit": "?", "role": "sensor", "min": 0, "max": 1}
PATH_WORDS = ("asset", "run", "date")  # of a pattern, which mean something by themselves


@dataclass(frozen=True)
class ContractDraft:
    """The text of a first twin.yaml, and what was given up and assumed in it."""

    text: str
    assumptions: Assumptions


def draft_contract(  # noqa: PLR0913, PLR0917 - what a user may say of files
    name: str,
    files: str | Path,
    project: Path | None = None,
    labels: Path | None = None,
    pattern: str | None = None,
    rate: float | None = None,
    sides: Mapping[str, str | Path] | None = None,
    told: Told | None = None,
) -> ContractDraft:
    """Draft the contract of twin `name` from a user's files, named as `source.path` is; the text is a valid contract.

    `labels` is a file with spans of time in which a fault was present, `pattern` is how the paths of many files end,
    `rate` (Hz) that of their samples where they are waveforms, `sides` are files of tables beside the readings by their
    field of the source: failures, maintenance, events, assets; `told` is what some columns mean. A path inside
    `project` is named relative to data/<name>/. SourceError where the files cannot be read, or have no time, no machine
    or no channel; ContractError for an invalid name.
    """

    def look(path: Path) -> Survey | None:
        return survey_waveforms(path, str(files), pattern, rate, lambda name: squashed(name) in TIME_NAMES)

    with surveyed(str(files), pattern, look) as all_files, tempfile.TemporaryDirectory() as folder:
        survey = _bounded(all_files, told)
        idle = [word for word in pattern_words(pattern) if word not in PATH_WORDS and not is_label_name(word)]
        # A load or a speed in a path, such as 1200, is no year.
        survey = replace(survey, forms={name: form for name, form in survey.forms.items() if name not in idle})
        written = spread_frame(survey)
        path_words = written.frame[idle]
        if survey.waveforms:  # a number in a path, such as a load, is measured beside them
            idle = [word for word in idle if not pd.api.types.is_numeric_dtype(written.frame[word])]
        written = replace(written, frame=written.frame.drop(columns=idle))
        guess = with_splits(guess_columns(survey.table, written.frame, told), written.frame, path_words)
        if labels is not None:
            axis = span_axis(labels, source_path(name, labels, project), str(files), guess.asset)
            (Path(folder) / LABELS).mkdir()
            shutil.copyfile(labels, Path(folder) / LABELS / axis.name)
            guess = replace(guess, axes=(axis, *(one for one in guess.axes if one.name != axis.name)))
        beside = _Beside(
            Path(folder), sides or {}, {f: source_path(name, one, project) for f, one in (sides or {}).items()}
        )
        return _draft(name, survey, source_path(name, files, project), written, guess, beside)


def _bounded(survey: Survey, told: Told | None) -> Survey:
    """Return the survey of some machines where the first rows are not all, as they show which column names these."""
    if survey.sample is None or survey.waveforms:
        return survey
    return of_whole_machines(survey, guess_columns(survey.table, spread_frame(survey).frame, told).asset)


@dataclass(frozen=True)
class _Beside:
    """Files beside the readings: the folder of their copies, those of tables as given, and as twin.yaml names them."""

    folder: Path
    given: Mapping[str, str | Path]
    paths: Mapping[str, str]

    def bring(self, source: TableSource, sides: SideDraft) -> TableSource:
        """Copy the source's tables; return the source with likely answers to what is asked of them."""
        tables = source.side_tables.items()
        given = {name: table.model_copy(update={"path": str(self.given[name])}) for name, table in tables}
        bring_side_tables(source.model_copy(update=given), Path(), self.folder, self.folder)
        likely = {name: table.model_copy(update=dict(sides.likely.get(name, {}))) for name, table in tables}
        return source.model_copy(update=likely)


def _with_sides(guess: Guess, beside: _Beside, frame: pd.DataFrame, notation: TimeNotation) -> Guess:
    """Return the guess with the tables beside the readings, whose rows are `frame`."""
    names = frozenset(spelling_key(name) for name in texts(frame[guess.asset]).unique())
    seconds = SECONDS.get(notation.unit, 1.0)
    times = frame[guess.time]
    stamped = pd.api.types.is_datetime64_any_dtype(times) or not pd.api.types.is_numeric_dtype(times)
    readings = SurveyedReadings(
        guess.asset, names, instants(times) if stamped else times, notation.unit, seconds, notation.step
    )
    return replace(guess, sides=draft_sides(beside.given, beside.paths, readings))


def _draft(name: str, survey: Survey, path: str, written: Written, guess: Guess, beside: _Beside) -> ContractDraft:
    table = survey.table
    words = {column: texts(written.frame[column]) for column in map(guess.channels.__getitem__, guess.categories)}
    known = {column: text.mask(is_missing(text)) for column, text in words.items()}
    written = settle_time(survey, replace(written, frame=written.frame.assign(**known)), guess)
    frame = written.frame
    notation = guess_clock(table.shown, frame, guess, written.unit)
    guess = _with_sides(guess, beside, frame, notation) if beside.given else guess
    sparse = find_sparse(frame, guess, notation)
    source = _source(path, written, guess, survey, sparse)
    contract = _skeleton(name, source, guess, (notation, sparse), survey)
    likely = beside.bring(source, guess.sides).model_copy(update=written.likely)
    rows = read_rows_of(contract, likely, survey.path, survey.sample, beside.folder)
    telling = [one for one in telling_channels(rows, contract) if one in guess.channels]
    if telling and len(telling) < len(guess.channels):
        guess = _without(guess, telling)
        source = _source(path, written, guess, survey, sparse)
        contract = _skeleton(name, source, guess, (notation, sparse), survey)
    measured = measure_table(rows, contract, notation)
    measured = replace(measured, assets=len(survey.machines)) if survey.machines else measured
    holdout, why, few = _holdout(rows, contract, survey)
    parts = [
        source_lines(name, source, guess, written),
        clock_lines(guess, notation, measured),
        channel_lines(rows, source, guess, survey.units, sparse),
        waveform_lines(contract.waveforms),
        output_lines(guess, notation, measured),
        rest_lines(rows, guess, measured),
        holdout_lines(holdout, why),
    ]
    told_sparse = [one.sentence(guess.channels[name], notation.unit) for name, one in sparse.items()]
    found = TableFindings(rows, source, guess, notation, measured, tuple(told_sparse))
    told = assumptions_of(table, found, label_hints(rows, contract), [*few, *written.sentences(), *survey.told])
    ended = [f"{one}." for one in how_lives_ended(rows, contract)]
    told = replace(told, check=(*written.questions(), *guess.sides.questions(), *ended, *told.check))
    return ContractDraft("\n".join(line for part in parts for line in part) + "\n", told)


def _holdout(rows: pd.DataFrame, contract: Twin, survey: Survey) -> tuple[Holdout, str, list[str]]:
    """Return what is held out as a whole, why, and what to tell; of a long table only some machines are `rows`."""
    if len(survey.machines) >= ENOUGH:
        return Holdout(), "", []
    labelled = LabelledUnits.of(rows, contract)
    holdout, why = propose_holdout(labelled)
    return holdout, why, [f"{one}." for one in few_units_hints(labelled, holdout)]


def _source(path: str, written: Written, guess: Guess, survey: Survey, sparse: Mapping[str, Sparse]) -> TableSource:
    frame, asset = written.frame, asset_fields(survey, guess.asset)
    names = texts(frame[guess.asset])
    spelt = first_spellings([*names.unique(), *survey.machines])
    runs = np.asarray(names.map(spelt).groupby(names.map(spelt), sort=False).ngroup(), np.int64)
    content: dict[str, object] = {
        "time": None if guess.time == ROW else guess.time,
        "run": guess.run,
        "columns": {**guess.channels, **survey.columns},
        "failure": guess.failure,
        "rul": guess.rul,
        "subset": guess.subset,
        "split": guess.split,
        "faults": {axis.name: axis.fault for axis in guess.axes},
        "missing": missing_policy(
            frame, guess, [column for name, column in guess.channels.items() if name not in sparse]
        ),
        "spellings": "join" if any(name != first for name, first in spelt.items()) else None,
        "rates": tuple(name for name, column in guess.channels.items() if _flattened(frame[column], runs)),
    }
    content |= guess.sides.tables
    return TableSource.model_validate({"kind": "table", "path": path, **content, **asset, **written.fields})


def _flattened(values: "pd.Series[float]", runs: "np.ndarray") -> bool:
    if not pd.api.types.is_numeric_dtype(values):
        return False
    order = np.argsort(runs, kind="stable")
    return is_flattened(np.asarray(values, np.float64)[order], runs[order])


def _skeleton(
    name: str, source: TableSource, guess: Guess, how: tuple[TimeNotation, Mapping[str, Sparse]], survey: Survey
) -> Twin:
    """Build a minimal contract to read the rows with; `how` are the time and the channels that have values seldom."""
    notation, sparse = how
    remedy: dict[str, object] = {"part": "?", "instruction": "?", "lead_time": 0}
    content = {
        "name": name,
        "title": name,
        "source": source,
        "clock": {"unit": notation.unit, "step": notation.step},
        "channels": {
            channel: {
                **({"categories": guess.categories[channel]} if channel in guess.categories else UNMEASURED),
                **(sparse[channel].fields() if channel in sparse else {}),
            }
            for channel in guess.channels
        }
        | {
            channel: {"unit": "?", "role": "sensor", "min": 0, "max": one.longest or 1}
            for channel, one in guess.sides.channels.items()
        },
        "waveforms": with_channels(survey.waveforms, guess.channels),
        "rul": {"cap": 1, "remedy": remedy} if has_rul(guess) else None,
        "health": {"remedy": remedy} if has_health(guess) else None,
        "faults": {axis.name: {"title": axis.name, "classes": _classes(axis, remedy)} for axis in guess.all_axes},
        "window": {"length": SHORTEST_WINDOW},
    }
    try:
        return Twin.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise ContractError(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _classes(axis: LabelAxis, remedy: dict[str, object]) -> dict[str, dict[str, object] | None]:
    healthy, *others = axis.classes
    return {healthy: None, **dict.fromkeys(others, remedy)}


def _without(guess: Guess, telling: list[str]) -> Guess:
    """Leave out the channels that count the life down or up."""
    reason = "counts the life down or up by itself; if it is known when scoring too, add it and quality.allow"
    kept = {name: column for name, column in guess.channels.items() if name not in telling}
    words = {name: found for name, found in guess.categories.items() if name in kept}
    return replace(
        guess,
        channels=kept,
        categories=words,
        left_out=guess.left_out | {guess.channels[name]: reason for name in telling},
    )
