"""A file of labels beside an unknown table: guess of where its spans of time lie and what they mean."""

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from foretwin.contract.source import TableFault
from foretwin.errors import SourceError
from foretwin.sources.tabular import is_missing, open_table, texts
from foretwin.validation.scaffold.column_names import ASSET_NAMES, TIME_NAMES, class_names, squashed
from foretwin.validation.scaffold.label_columns import MOST_CLASSES, LabelAxis

AXIS, CLASS = "anomaly", "anomaly"
BEGIN_NAMES = ("begin", "start", "from", "starttime", "begintime", "startdate", "beginn", "von", "debut", "inicio")
END_NAMES = ("end", "to", "until", "stop", "endtime", "enddate", "ende", "bis", "fin")
SPAN_LABEL_NAMES = (
    "label",
    "class",
    "fault",
    "failure",
    "mode",
    "flagname",
    "flag",
    "event",
    "reason",
    "anomaly",
    "type",
)
SHOWN_KEYS = 4


def span_axis(file: Path, path: str, data: str, asset: str) -> LabelAxis:
    """Return a fault axis whose labels are the spans in `file`, which twin.yaml names `path`, of the table `data`.

    `asset` is the table's column of the machine: a table of spans may have it too.
    SourceError where the file has no spans of which it is clear how they are read.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, UnicodeError):
        return _of_table(file, path, asset)
    except OSError as error:
        raise SourceError(f"{file}: cannot be read ({error.strerror}); name another file of labels") from None
    spans = {"path": path, "means": CLASS}
    if isinstance(content, dict):
        spans["key"] = _key(list(content), path, data)
    return LabelAxis(AXIS, TableFault.model_validate({"spans": spans}))


def _key(keys: Sequence[str], path: str, data: str) -> str:
    """Return the key that is, or ends as, the name of the data, or the only one."""
    name = PurePosixPath(data).name
    fitting = [key for key in keys if PurePosixPath(key).name == name] or (list(keys) if len(keys) == 1 else [])
    if len(fitting) != 1:
        shown = ", ".join(map(repr, keys[:SHOWN_KEYS])) + (", ..." if len(keys) > SHOWN_KEYS else "")
        raise SourceError(f"{path}: no key of {len(keys)} is named as {name}: {shown}; write source.faults by hand")
    return fitting[0]


def _of_table(file: Path, path: str, machine: str) -> LabelAxis:
    table = open_table(file, path)
    named = {squashed(column): column for column in reversed(table.columns)}
    begin, end, asset, label = (
        next((named[name] for name in names if name in named), None)
        for names in ((*BEGIN_NAMES, *TIME_NAMES), END_NAMES, (squashed(machine), *ASSET_NAMES), SPAN_LABEL_NAMES)
    )
    if begin is None:
        raise SourceError(f"{path}: no column seems to be where a span begins; name one `begin`, and one `end`")
    spans: dict[str, object] = {"path": path, "begin": begin, "end": end, "asset": asset, "label": label}
    if label is None:
        return LabelAxis(AXIS, TableFault.model_validate({"spans": spans | {"means": CLASS}}))
    text = texts(table.read([label], text=[label])[label])
    counts = text[~is_missing(text)].value_counts()
    if len(counts) > MOST_CLASSES:
        raise SourceError(f"{path}: column {label!r} has {len(counts)} values, too many for classes of faults")
    values = {value: name for value, name in class_names(counts.index, healthy="").items() if value}
    return LabelAxis(AXIS, TableFault.model_validate({"spans": spans, "values": values}))
