"""When a twin's stages ran, for how long and at which commit: models/<twin>/timings.json.

    tune       trials: number, started, ended and seconds of each
    train      git, seconds in all, of one core; parts: candidate, seed, fold and seconds of each
    evaluate   seconds of each baseline

each with `started` and `ended` of the stage, in UTC, and `of`: the SHA-256 of the record that it wrote. The file is the
output of no stage, and git ignores it: what a clock says would make the same training another one. MLflow's runs show
it, and whoever reads it lives without it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foretwin.project.digests import file_digest
from foretwin.project.files import fresh_file
from foretwin.project.json import read_json_object, strict_json

NAME = "timings.json"


def write_timings(record: Path, stage: str, started: datetime, content: Mapping[str, Any]) -> None:
    """Write what a stage that ends now tells of `record`, a file of models/<twin>/, into the file beside it."""
    path = record.with_name(NAME)
    span = {"started": started.isoformat(timespec="seconds"), "ended": datetime.now(UTC).isoformat(timespec="seconds")}
    told = (read_json_object(path) or {}) | {stage: {"of": file_digest(record), **span, **content}}
    with fresh_file(path) as out:
        out.write_text(strict_json(told, indent=1) + "\n", encoding="utf-8")


def read_timings(record: Path, stage: str) -> dict[str, Any]:
    """Return what a stage told of this record; empty where it is not known, or known of another one."""
    told = (read_json_object(record.with_name(NAME)) or {}).get(stage)
    if not isinstance(told, dict) or not record.exists() or told.get("of") != file_digest(record):
        return {}
    return told
