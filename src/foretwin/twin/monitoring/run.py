"""One monitoring run of a twin: read, compare, report.

Limits are of two kinds. Those of drift and of realised error are about the model: where one breaks, the fleet's drift
case opens, and training again is called for once there is something new to learn from. The signals are about the data
sources, and are reported alone. So is the drift of scores: what a champion says of healthy machines depends on how old
they are, and a young fleet is above its limits with nothing wrong.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from foretwin.champion.champion import Champion, load_champion
from foretwin.contract.twin import Twin
from foretwin.drift import ChannelDrift, DriftReference, compare, compare_scores
from foretwin.project.json import finite
from foretwin.project.paths import Paths
from foretwin.twin.monitoring import data_quality as signals
from foretwin.twin.monitoring import realised_errors as truth
from foretwin.twin.monitoring import reports
from foretwin.twin.monitoring.drift_case import keep_case
from foretwin.twin.monitoring.sample import Said, Shown, healthy_words, look_at_scores, newest_healthy
from foretwin.twin.scoring.staleness import is_stale
from foretwin.twin.store import Connection, Store
from foretwin.twin.store.scoring import monitoring, scores, shadow
from foretwin.twin.store.scoring.monitoring import Heard
from foretwin.twin.store.telemetry import history

READINGS = 500  # within which a shift of half a standard deviation has to be seen
MOST_READINGS = 20_000  # of a period that was asked for
RECENT = timedelta(days=7)  # what signals and comparisons are about, unless a period is asked for
RECENT_EACH = 100  # newest readings of an asset that signals are about
FEWEST_JUDGED, MOST_NEVER = 5, 0.5  # assets, and the share of them of which no score may ever have said healthy
FEWEST_TOGETHER, MOST_TOGETHER = 10, 0.9  # healthy assets, and the share of them that stopped being so at once


@dataclass(frozen=True)
class MonitorSettings:
    """How many readings of healthy life are compared, or over which period."""

    readings: int = READINGS
    since: timedelta | None = None


@dataclass(frozen=True)
class MonitoredData:
    """The data that a run reads from the store."""

    readings: Shown
    earlier: Shown
    said: Said
    signals: list[signals.Signal]
    truth: dict[str, Any]
    shadow: list[dict[str, Any]]
    unlearnt: int  # runs about which something was found out since history was last exported


def monitor(store: Store, root: Path, contract: Twin, settings: MonitorSettings, now: datetime) -> dict[str, Any]:
    """Monitor a twin, write reports/monitor/<twin>/, keep the fleet's drift case; return the report as JSON values.

    `contract` is the project's, which says what of the data counts as failing. RegistryError where the twin has no
    champion, BundleError where its files are damaged, StoreError as the store's transactions.
    """
    champion = load_champion(root, contract.name)
    with store.read() as connection:
        seen = _see(connection, champion, contract, settings, now)
    drift = _drift(Paths(root, contract.name).models / "champion" / "drift.json", champion, seen)
    broken = {"drift": drift.pop("limits_broken"), "truth": _broken_by_truth(champion, contract, seen.truth)}
    report = _report(contract, champion, seen, drift, broken, now)
    realised = _of_champion(champion, seen.truth)
    looked = {"drift": drift["enough"], "truth": realised is not None and realised["runs"] >= truth.ENOUGH_RUNS}
    details = {"channels": [one for one in report["drift"]["channels"] if one["drifted"]]}
    with store.write() as connection:
        case = keep_case(connection, contract.name, champion.identity, broken, looked, details, now)
    # A fleet that has worn out shows nothing of what its case was opened for, and teaches most.
    is_open = case is not None and case["state"] != "closed"
    report["case"], report["verdict"]["retrain"] = case, is_open and seen.unlearnt > 0
    reports.write(root, report, contract.title)
    return report


def _see(
    connection: Connection, champion: Champion, policy: Twin, settings: MonitorSettings, now: datetime
) -> MonitoredData:
    contract, name = champion.bundle.contract, policy.name
    since = now - (settings.since or RECENT)
    most = MOST_READINGS if settings.since else settings.readings
    heard = monitoring.heard(connection, name, since)
    first = monitoring.first_batch(connection, since)
    healthy = monitoring.healthy_until(connection, [one.id for one in heard], healthy_words(contract))
    model = monitoring.model_number(connection, name, champion.identity)
    said = look_at_scores(connection, contract, heard, healthy, model, (most, since))
    readings, earlier = newest_healthy(connection, contract, said.healthy, most, first if settings.since else 0)
    beside = shadow.comparison(connection, name, since, now, contract.rul.cap if contract.rul else None)
    return MonitoredData(
        readings=readings,
        earlier=earlier,
        said=said,
        signals=_signals(connection, policy, heard, said, (since, first), now),
        truth=_truth(connection, contract, now - settings.since if settings.since else None),
        shadow=[asdict(one) for one in beside],
        unlearnt=monitoring.runs_not_learnt(connection, name),
    )


def _signals(
    connection: Connection,
    policy: Twin,
    heard: Sequence[Heard],
    said: Said,
    since: tuple[datetime, int],
    now: datetime,
) -> list[signals.Signal]:
    """Return the data quality signals; `since` is the period's beginning, as a moment and as its first batch."""
    moment, first = since
    places = ((one.id, one.run, None) for one in heard)
    course = signals.RecentBehaviour(policy)
    newest = monitoring.newest_readings(connection, policy.name, policy.channel_names, places, (RECENT_EACH, first))
    course.add(readings for readings, _ in newest)
    set_aside = monitoring.set_aside(connection, policy.name, moment)
    found = signals.of_readings(course, {one.id: one.name for one in heard})
    found += signals.of_rejections(set_aside, monitoring.stored_since(connection, policy.name, first))
    found += signals.of_scores(said)
    if policy.longest_silence is not None:
        found += signals.of_silence([one.name for one in heard if is_stale(policy, one.received_at, now)], len(heard))
    return found


def _truth(connection: Connection, contract: Twin, since: datetime | None) -> dict[str, Any]:
    failed = history.failed_runs(history.findings(connection, contract.name))
    found = truth.compare_with_failures(
        connection, contract, failed, monitoring.cases_of_runs(connection, contract.name)
    )
    known = scores.models(connection, found.models)
    return truth.summary(found, monitoring.alarms(connection, contract.name, since), known)


def _drift(path: Path, champion: Champion, seen: MonitoredData) -> dict[str, Any]:
    """Return the report's drift section, with `limits_broken` as sentences."""
    readings, assets = len(seen.readings[0]), len(np.unique(seen.readings[0]))
    result: dict[str, Any] = {"readings": readings, "assets": assets, "enough": False, "channels": [], "scores": []}
    broken = _not_healthy(seen.said)
    reference = DriftReference.read(path) if path.exists() else None
    if reference is None or reference.bundle != champion.bundle.digest:
        reason = f"{path} is {'missing' if reference is None else 'of another bundle'}"
        reason = f"{reason}: readings cannot be compared; `dvc repro` makes it anew"
        return {**result, "reason": reason, "limits_broken": broken, "enough": bool(broken)}
    verdict = compare(reference, *seen.readings, earlier=seen.earlier if len(seen.earlier[0]) else None)
    columns = seen.said.columns(champion.bundle.contract)
    said = compare_scores(reference.scores, columns, np.array(seen.said.assets, np.int64))
    broken += [_sentence(one) for one in verdict.channels if one.drifted]
    few = (
        f"nothing to compare yet: {verdict.readings} readings of healthy life from {verdict.assets} assets are too few"
    )
    return {
        **result,
        "readings": verdict.readings,
        "assets": verdict.assets,
        "enough": verdict.enough or bool(broken),
        "reason": None if verdict.enough else few,
        "channels": [asdict(one) for one in verdict.channels],
        "scores": [asdict(one) for one in said],
        "limits_broken": broken,
    }


def _sentence(one: ChannelDrift) -> str:
    """Describe the change of a channel that has drifted."""
    psi = f"PSI {one.psi:.2f}, limit {one.limit:.2f}"
    if not isfinite(one.shift_limit):
        return f"{one.name} was constant among healthy machines, and no longer is ({psi})"
    if abs(one.shift) <= one.shift_limit:
        return f"{one.name} is spread otherwise than on the assets of the champion's development ({psi})"
    since = "what the same assets showed before" if one.change else "the assets of the champion's development"
    return f"{one.name} is {one.shift:+.2f} standard deviations away from {since} (limit {one.shift_limit:.2f}; {psi})"


def _not_healthy(said: Said) -> list[str]:
    """Whether a shift makes the model call every machine faulty, so that no healthy life is left to compare."""
    sentences = []
    if said.judged >= FEWEST_JUDGED and said.never > MOST_NEVER * said.judged:
        sentences.append(
            f"of {said.judged} assets {said.never} were never called healthy in their run: all came in worn, or "
            "what they show is none of what the champion was trained on"
        )
    before = said.fell + len(said.healthy)
    if before >= FEWEST_TOGETHER and said.fell >= MOST_TOGETHER * before:
        sentences.append(
            f"of {before} assets that were called healthy {said.fell} are not any more, all at once: machines do not "
            "wear out together, their sensors or their operation have changed"
        )
    return sentences


def _of_champion(champion: Champion, realised: dict[str, Any]) -> dict[str, Any] | None:
    digest = champion.identity.digest
    return next((one for one in realised["models"] if one["digest"] == digest), None)


def _broken_by_truth(champion: Champion, contract: Twin, realised: dict[str, Any]) -> list[str]:
    found = _of_champion(champion, realised)
    if found is None:
        return []
    return truth.limits_broken(champion.identity.version, found, _held_out(champion), contract.clock.unit)


def _held_out(champion: Champion) -> float | None:
    """Return the champion's RMSE on its held-out assets, truths capped."""
    error = champion.record.metrics.get("rul", {}).get("clipped", {}).get("rmse")
    return None if error is None else float(error)


def _report(
    contract: Twin,
    champion: Champion,
    seen: MonitoredData,
    drift: dict[str, Any],
    broken: dict[str, list[str]],
    now: datetime,
) -> dict[str, Any]:
    limits_broken = [sentence for kind in broken.values() for sentence in kind]
    report = {
        "twin": contract.name,
        "unit": contract.clock.unit,
        "looked_at": now.astimezone(UTC).isoformat(),
        "champion": {**asdict(champion.identity), "held_out_rmse": _held_out(champion)},
        "drift": drift,
        "signals": [one.to_dict() for one in seen.signals],
        "truth": seen.truth,
        "shadow": seen.shadow,
        "unlearnt_runs": seen.unlearnt,
        "verdict": {
            "drifted": bool(broken["drift"]),
            "limits_broken": limits_broken,
            "signals_broken": [one.sentence for one in seen.signals if one.broken],
            "retrain": False,  # that is known with the case
            "summary": _summary(limits_broken, drift),
        },
    }
    plain: dict[str, Any] = finite(report)
    return plain


def _summary(limits_broken: Sequence[str], drift: dict[str, Any]) -> str:
    if limits_broken:
        return f"{len(limits_broken)} limit{'s' if len(limits_broken) > 1 else ''} broken"
    return drift["reason"] or f"no drift in {drift['readings']} readings of {drift['assets']} assets"
