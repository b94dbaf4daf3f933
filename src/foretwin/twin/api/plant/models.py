"""Which model answers for a twin, why, beside which others, and the way back to the one before."""

import os
import subprocess
import sys
from dataclasses import asdict
from typing import Annotated, Any

from filelock import FileLock, Timeout
from pydantic import Field, StringConstraints
from starlette.responses import FileResponse

from foretwin.champion import ledger
from foretwin.champion.challenger import TRIAL, Terms
from foretwin.champion.champion import ChampionRecord, kept_identity
from foretwin.errors import BadInput, BundleError, Conflict, NotFound, StoreError
from foretwin.project.json import read_json_object
from foretwin.project.paths import Paths
from foretwin.twin.api.bodies import Body, read_body_json
from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import read_query
from foretwin.twin.monitoring.reports import read_report

LONGEST = 300.0  # s that a roll-back may take
LAST_WORDS = 500  # characters of what it said where it failed
NETWORK = "network"  # what the figures call the trained model itself
BANDS = ("bands", "bands_predicted")  # of what was truly left, and of what was said


class RollbackBody(Body):
    """Why the champion is taken back, and to which former one; without `to` to the one before."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f]*\S[^\x00-\x1f]*$")]
    to: Annotated[str, Field(pattern=r"^\d{1,9}$")] | None = None


def get_twin_models(call: Call) -> dict[str, Any]:
    """GET /v1/models: the champion of each twin, with its headline figures."""
    read_query(call.query, {})
    return {"items": [_headline(call, name) for name in sorted(call.contracts)]}


def get_model(call: Call) -> dict[str, Any]:
    """GET /v1/models/{twin}: its champion, since when and why, and every candidate that was measured beside it."""
    read_query(call.query, {})
    head = _headline(call, _twin_of(call))
    paths = Paths(call.living.root, head["twin"])
    measured = read_json_object(paths.evaluation) or {}
    is_its_own = head["digest"] is not None and measured.get("bundle") == head["digest"]
    others = {NETWORK: measured[NETWORK], **measured.get("baselines", {})} if is_its_own else {}
    lineage = read_json_object(paths.models / "champion" / "lineage.json") or {}
    return {
        **head,
        "candidates": [{"name": name, "figures": _figures(one)} for name, one in others.items()],
        "bands": {kind: _bands(others.get(NETWORK, {}), kind) for kind in BANDS},
        "measured_on": {name: measured[name] for name in ("assets", "cuts") if name in measured} if is_its_own else {},
        "trial": _trial(paths, read_report(call.living.root, head["twin"])),
        "lineage": {name: lineage.get(name) for name in ("git", "environment", "data", "history", "contract")},
        "has_card": (paths.models / "card.html").exists(),
    }


def get_ledger(call: Call) -> dict[str, Any]:
    """GET /v1/models/{twin}/ledger: the decisions about its champions, the newest first."""
    read_query(call.query, {})
    entries = ledger.read(Paths(call.living.root, _twin_of(call)).ledger)
    return {"items": [asdict(one) for one in reversed(entries)]}


def get_card(call: Call) -> FileResponse:
    """GET /v1/models/{twin}/card: the model card, a page to keep."""
    read_query(call.query, {})
    twin = _twin_of(call)
    path = Paths(call.living.root, twin).models / "card.html"
    if not path.exists():
        raise NotFound("twin", f"{twin} has no model card yet; `dvc repro` writes it")
    return FileResponse(path, media_type="text/html", filename=f"{twin}-card.html")


def post_rollback(call: Call) -> dict[str, Any]:
    """POST /v1/models/{twin}/rollback: make a former champion the champion again, as `foretwin rollback` does."""
    read_query(call.query, {})
    twin, wanted = _twin_of(call), read_body_json(call.body, RollbackBody)
    command = [sys.executable, "-m", "foretwin.cli", "rollback", twin, "--reason", wanted.reason, "--by", call.actor]
    command += ["--to", wanted.to] if wanted.to else []
    where: dict[str, Any] = {"cwd": call.living.root, "env": dict(os.environ)}
    try:
        with FileLock(Paths(call.living.root, twin).models / ".rollback.lock", timeout=0):
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LONGEST, **where)
    except Timeout:
        raise Conflict("twin", f"the champion of {twin} is being taken back already") from None
    except subprocess.TimeoutExpired:
        raise StoreError(f"the roll-back of {twin} took longer than {LONGEST:g} s; `foretwin ledger {twin}`") from None
    if done.returncode:
        raise BadInput("reason" if not wanted.to else "to", " ".join(done.stderr.split())[-LAST_WORDS:])
    return _headline(call, twin)


def _twin_of(call: Call) -> str:
    twin = call.path["twin"]
    if twin not in call.contracts:
        raise NotFound("twin", f"{twin[:60]} has no contract here; there is {', '.join(sorted(call.contracts))}")
    return twin


def _headline(call: Call, twin: str) -> dict[str, Any]:
    """Return who the champion of a twin is, since when, and why; all null where there is none."""
    paths, contract = Paths(call.living.root, twin), call.contracts[twin]
    identity = kept_identity(paths)
    record = ChampionRecord.read(paths.models / "champion" / "record.json") if identity else ChampionRecord()
    known = asdict(identity) if identity else dict.fromkeys(("name", "version", "run", "digest"))
    return {
        "twin": twin,
        "title": contract.title,
        "unit": contract.clock.unit,
        **known,
        "promoted_at": record.promoted_at,
        "commit": record.commit,
        "reasons": list((record.gate or {}).get("reasons", [])),
        "figures": _figures(record.metrics),
    }


def _figures(measured: dict[str, Any]) -> dict[str, float]:
    """Return the headline figures: errors of the RUL in the clock's unit, and macro-F1 of each axis."""
    rul = (measured.get("rul") or {}).get("clipped") or {}
    found = {name: rul[name] for name in ("rmse", "rmse_late") if isinstance(rul.get(name), int | float)}
    axes = measured.get("fault") or {}
    return found | {f"macro_f1.{axis}": one["macro_f1"] for axis, one in axes.items() if "macro_f1" in one}


def _bands(measured: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the figures by band of remaining life, the last hours first; none where there is no RUL."""
    found = ((measured.get("rul") or {}).get("interval") or {}).get(kind) or {}
    return [{"band": band, **figures} for band, figures in found.items()]


def _trial(paths: Paths, report: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what is tried beside the champion, and how the monitor last saw it compare; None where nothing is."""
    folder = paths.models / "candidate"
    try:
        terms = Terms.read(folder / TRIAL) if (folder / TRIAL).exists() else None
    except BundleError:
        return None
    if terms is None:
        return None
    identity = read_json_object(folder / "identity.json") or {}
    digest = identity.get("digest")
    compared = (report or {}).get("shadow") or []
    mine = [one for one in compared if digest in (one["served"]["digest"], one["beside"]["digest"])]
    return {
        "mode": terms.mode,
        "since": terms.since,
        "version": identity.get("version"),
        "digest": digest,
        "assets": None if terms.assets is None else len(terms.assets),
        "compared_at": report["looked_at"] if report and mine else None,
        "compared": [_compared(one) for one in mine],
    }


def _compared(one: dict[str, Any]) -> dict[str, Any]:
    named = ("scores", "assets", "rul_mean", "rul_mean_absolute", "diagnoses_differ", "realised")
    versions = {kind: one[kind]["version"] for kind in ("served", "beside")}
    return {**versions, **{name: one[name] for name in named}}
