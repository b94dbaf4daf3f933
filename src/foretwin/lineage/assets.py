"""Resolve assets and cases by name: their scores, their models, and the models that saw them."""

import json
from typing import Any

from foretwin.champion.provenance import asset_digest
from foretwin.errors import NotFound
from foretwin.lineage.describe import describe_score, iso_moment, version_label
from foretwin.lineage.index import Project
from foretwin.lineage.result import LineageResult
from foretwin.project.paths import Paths
from foretwin.sources.store import PREFIX
from foretwin.twin.erasure.erase import CERTIFICATES
from foretwin.twin.erasure.models_that_saw import Known
from foretwin.twin.store import Connection, assets
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.casework import cases
from foretwin.twin.store.scoring import scores as stored
from foretwin.twin.store.scoring.lineage import scores_at, uses


def resolve_asset(project: Project, text: str) -> LineageResult | None:
    """Resolve an asset of a source or of the store; with `@<time>` or `@<run>/<time>`, its score of that time.

    `store/<name>` is that of the store alone. NotFound where nothing was said of it up to then.
    """
    answer = _of_asset(project, text)
    if answer is not None:
        return answer
    name, sign, then = text.rpartition("@")
    return _of_score(project, name, then) if sign else None


def resolve_case(project: Project, text: str) -> LineageResult | None:
    """Resolve `case:<number>` to the case's last score; NotFound where there is no such case."""
    kind, _, number = text.partition(":")
    if kind != "case" or not number.isdecimal():
        return None
    if project.store is None:
        raise NotFound(text, "there is no store, so there are no cases")
    with project.store.read() as connection:
        case = cases.find_case(connection, int(number))
        about: dict[str, Any] = {
            "case": {name: getattr(case, name) for name in ("id", "twin", "fault", "state", "severity")}
        }
        about["case"] |= {"opened_at": iso_moment(case.opened_at), "closed_because": case.closed_because}
        if case.asset is None or case.model is None:
            return LineageResult(f"a case of the whole fleet of {case.twin}, which no single score speaks for", about)
        asset = assets.by_id(connection, [case.asset])[case.asset]
        found = [one for one in scores_at(connection, asset.id, case.run, case.time) if one.model == case.model]
        told = (
            {"asset": asset.name, **describe_score(found[0], _unit(project, case.twin))}
            if found
            else {"asset": asset.name}
        )
        model = _model(project, connection, case.twin, case.model)
    return LineageResult(
        f"case {case.id} of the asset {asset.name}, by its last score", about | {"score": told}, [model]
    )


def _of_score(project: Project, name: str, then: str) -> LineageResult | None:
    run, slash, time = then.rpartition("/")
    try:
        wanted = int(run) if slash else None, float(time)
    except ValueError:
        return None
    if project.store is None:
        return _of_asset(project, name, f"{then} was not looked for: there is no store, which would hold scores")
    with project.store.read() as connection:
        asset = assets.find_all(connection, [name.removeprefix(PREFIX)]).get(name.removeprefix(PREFIX))
        if asset is None:
            return _of_asset(
                project, name, f"{then} was not looked for: the store has no such asset, so no score of it"
            )
        found = scores_at(connection, asset.id, *wanted)
        if not found:
            raise NotFound(f"{name}@{then}", f"no score of {asset.name} up to then; `foretwin thread {asset.name}`")
        models = [_model(project, connection, asset.twin, one.model) for one in found]
    unit = _unit(project, asset.twin)
    told = [
        {"model": version_label(model), **describe_score(one, unit)} for model, one in zip(models, found, strict=True)
    ]
    about = {"asset": asset.name, "twin": asset.twin, "score": told[0] if len(told) == 1 else told}
    return LineageResult(f"a score of the asset {asset.name} in the store", about, models)


def _of_asset(project: Project, name: str, note: str = "") -> LineageResult | None:
    names = [name] if name.startswith(PREFIX) else [name, PREFIX + name]
    own = name.removeprefix(PREFIX)
    used_by = [
        (
            model,
            {
                "seen_in": how,
                "as": f"{one} of the store's history" if one.startswith(PREFIX) else f"{one} of the source",
            },
        )
        for model in project.models()
        for one in names
        if (how := project.known.seen_in(model, one))
    ]
    about: dict[str, Any] = {"asset": name}
    erased = _erasures(project, own)
    if erased:
        about["erased"] = erased
    in_store = _in_store(project, own)
    if in_store:
        about["in_the_store"] = in_store
    if not (used_by or erased or in_store):
        return None
    if note:
        about["note"] = note
    elif not used_by:
        about["note"] = "no model that is known was trained on it or measured with it"
    return LineageResult(f"the asset {name}", about, used_by=used_by)


def _in_store(project: Project, name: str) -> dict[str, Any] | None:
    """Return the store's record of the asset and the models that scored it."""
    if project.store is None:
        return None
    with project.store.read() as connection:
        asset: Asset | None = assets.find_all(connection, [name]).get(name)
        if asset is None:
            return None
        scored = [use for use in uses(connection, asset.id) if use.scores]
    return {
        "twin": asset.twin,
        "number": asset.id,
        "readings": asset.readings,
        "run": asset.run,
        "time": asset.time,
        "scored_by": [
            {"model": version_label(project.known.models[use.digest]), "scores": use.scores}
            | {"first": iso_moment(use.first), "last": iso_moment(use.last)}
            for use in scored
        ],
    }


def _erasures(project: Project, name: str) -> list[dict[str, Any]]:
    """Return the erasure certificates that hold the digest of the asset's name."""
    found = []
    for path in sorted((project.root / CERTIFICATES).glob("*.json")):
        certificate = json.loads(path.read_bytes())
        if certificate["asset_sha256"] == asset_digest(name):
            place = path.relative_to(project.root).as_posix()
            found.append({"certificate": place, "twin": certificate["twin"], "at": certificate["at"]})
    return found


def _model(project: Project, connection: Connection, twin: str, number: int) -> Known:
    """Return the model with that number in the store."""
    return project.known.model(twin, stored.models(connection, [number])[number].digest)


def _unit(project: Project, twin: str) -> str | None:
    """Return the unit of the twin's times; None without a contract."""
    paths = Paths(project.root, twin)
    return paths.load_contract().clock.unit if paths.contract.exists() else None
