"""What a draft guessed, as a form, and what a person made of it: the contract's text keeps its comments.

Nothing of the form reaches the source's path, so that no address, glob or other file can be named in it.
"""

import csv
import io
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from foretwin.contract.twin import load_twin
from foretwin.errors import BadInput, ContractError
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.twin.newcomers.job import UPLOAD

LOOKED_AT = 256 * 1024  # bytes of the file, of which examples are taken
EXAMPLES = 3  # values of a column
MEANT = ("asset", "time", "run", "failure", "rul", "subset")  # fields of a source that name a column
REMEDY = ("part", "instruction", "lead_time")
TEXT = Field(min_length=1, max_length=400)


class Changed(BaseModel):
    """A part of what a form says; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ChannelGuess(Changed):
    """A channel as a person has it; one that is not kept is left out, and one of words has no more than that."""

    is_kept: bool
    unit: str | None = Field(default=None, min_length=1, max_length=40)
    role: Literal["sensor", "setting"] | None = None
    min: float | None = None
    max: float | None = None


class ColumnMeanings(Changed):
    """What a person says of columns; of the others the meaning is guessed again."""

    columns: dict[
        Annotated[str, Field(min_length=1, max_length=200)],
        Literal["asset", "time", "run", "failure", "rul", "label", "channel", "left_out"],
    ] = Field(max_length=500)


class Draft(Changed):
    """What of a draft a person may change; `part` and what follows it are of the remaining life, where it has one."""

    title: str = TEXT
    unit: str = Field(min_length=1, max_length=40)
    part: str | None = Field(default=None, max_length=400)
    instruction: str | None = Field(default=None, max_length=4000)
    lead_time: float | None = None
    open_below: float | None = None
    channels: dict[str, ChannelGuess] = Field(default_factory=dict, max_length=500)


def read_draft(root: Path, twin: str) -> dict[str, Any]:
    """Return the draft, and of each column of the file what it was taken for, with examples."""
    content = yaml.safe_load(Paths(root, twin).contract.read_text(encoding="utf-8"))
    remedy, cases = (content.get("rul") or {}).get("remedy") or {}, content.get("cases") or {}
    channels = {
        str(name): {"is_kept": True, **{field: one.get(field) for field in ("unit", "role", "min", "max")}}
        for name, one in content["channels"].items()
    }
    told = {"title": content["title"], "unit": content["clock"]["unit"], "channels": channels}
    told |= {name: remedy.get(name) for name in REMEDY} | {"open_below": cases.get("open_below")}
    return {"draft": told, "columns": _columns(Paths(root, twin).data / UPLOAD, content)}


def change_draft(root: Path, twin: str, draft: Draft) -> None:
    """Write what a person made of it; BadInput, with the contract as it was, where it is none then."""
    path = Paths(root, twin).contract
    with_comments = _round_trip()
    content = with_comments.load(path)
    _change(content, draft)
    text = io.StringIO()
    with_comments.dump(content, text)
    before = path.read_text(encoding="utf-8")
    with fresh_file(path) as out:
        out.write_text(text.getvalue(), encoding="utf-8")
    try:
        load_twin(path)
    except ContractError as error:
        with fresh_file(path) as out:
            out.write_text(before, encoding="utf-8")
        raise BadInput("contract", str(error).removeprefix(f"{path}: ")) from None


def _change(content: Any, draft: Draft) -> None:
    content["title"], content["clock"]["unit"] = draft.title, draft.unit
    for name, channel in draft.channels.items():
        if name not in content["channels"]:
            raise BadInput(f"channels.{name[:60]}", "is no channel of the draft")
        if not channel.is_kept:
            del content["channels"][name]
            continue
        for field in ("unit", "role", "min", "max"):
            if (value := getattr(channel, field)) is not None:
                content["channels"][name][field] = value
    remedy: Any = (content.get("rul") or {}).get("remedy")
    for field in REMEDY if remedy is not None else ():
        if (value := getattr(draft, field)) is not None:
            remedy[field] = value
    if draft.open_below is not None and content.get("cases") is not None:
        content["cases"]["open_below"] = draft.open_below


def _columns(path: Path, content: Any) -> list[dict[str, Any]]:
    """Return `name`, `meaning`, how that is `called` in a choice, and `examples` of the file's first lines."""
    with path.open("rb") as file:
        text = file.read(LOOKED_AT).decode("utf-8-sig", "replace")
    try:
        dialect: Any = csv.Sniffer().sniff(text[:8192], ",;\t|")
    except csv.Error:
        dialect = csv.excel
    rows = list(islice(csv.reader(io.StringIO(text, newline=""), dialect), EXAMPLES + 1))
    head, examples = rows[0] if rows else [], rows[1:]
    source = content["source"]
    meanings = {str(source[name]): name for name in MEANT if isinstance(source.get(name), str)}
    for axis, fault in (source.get("faults") or {}).items():
        for column in (fault.get("column"), *(fault.get("flags") or ())):
            meanings[str(column)] = f"label {axis}"
    renamed = {str(column): str(name) for name, column in (source.get("columns") or {}).items()}
    channels = {str(name) for name in content["channels"]}
    told = []
    for place, name in enumerate(head):
        channel = renamed.get(name, name)
        meaning = meanings.get(name) or (f"channel {channel}" if channel in channels else "")
        cells = [row[place][:40] for row in examples if place < len(row)]
        called = meaning.partition(" ")[0] or "left_out"
        told.append({"name": name, "meaning": meaning, "called": called, "examples": cells})
    return told


def _round_trip() -> Any:
    from ruamel.yaml import YAML  # only administrators wait for it

    found = YAML()
    found.preserve_quotes, found.width = True, 10_000
    return found
