"""The scoring loop: new readings, windows, scores, cases.

A pass reads new readings, scores their assets in batches, and writes scores, cases and scoring progress in one
transaction, so that a killed process leaves each asset either scored or unchanged. Several loops may run: each skips
assets that another has scored meanwhile. A challenger on trial scores the same windows in the same transaction.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from foretwin.champion.challenger import trial_stamp
from foretwin.champion.champion import Champion, champion_stamp, file_stamp, load_champion
from foretwin.contract.twin import Twin
from foretwin.errors import ForetwinError, StoreError
from foretwin.project.contracts import policy_of
from foretwin.project.loops import Backoff
from foretwin.project.paths import Paths
from foretwin.serving.http.tracing import work_span
from foretwin.twin.cases.apply import review
from foretwin.twin.ingest.single_values.due import settle_due
from foretwin.twin.scoring.memory import default_memory, describe_lack, exempt_from_collection
from foretwin.twin.scoring.passes import PassCounts
from foretwin.twin.scoring.scores import LoopScores, due_scores, score_assets
from foretwin.twin.scoring.shadow import ShadowScorer, load_shadow
from foretwin.twin.scoring.staleness import emit_stale
from foretwin.twin.scoring.window_cache import WindowCache
from foretwin.twin.store import Store, assets
from foretwin.twin.store.scoring import scores, shadow, thinning
from foretwin.twin.store.telemetry import readings, windows
from foretwin.twin.store.telemetry.windows import News, ReadingQuery

NEWS_AT_ONCE = 20_000  # readings that are decoded before they are appended
LOADED_AT_ONCE = 500  # assets whose windows are read before they are put
LONGEST_PAUSE = 30.0  # s between two attempts to reach the store

Clock = Callable[[], datetime]
logger = logging.getLogger("foretwin.watch")


@dataclass(frozen=True)
class WatchSettings:
    """Resources of the loop and the interval of its passes."""

    twins: tuple[str, ...] | None = None  # None: every one that has a champion
    memory_bytes: int = field(default_factory=default_memory)  # for the newest windows of all twins together
    assets_per_call: int = 1024
    pause: float = 0.5  # s between two passes when there is no news


@dataclass
class Watched:
    """The loop's state of one twin: champion, newest windows, and the batch that they include."""

    champion: Champion
    stamp: tuple[int, int] | None
    recent: WindowCache
    policy: Twin  # the contract by which cases are decided: the project's, as far as the champion answers it
    policy_stamp: tuple[int, int] | None = None  # of the file that it was read from; None: not read yet, or not there
    upto: int = 0
    beside: ShadowScorer | None = None
    trial_stamp: tuple[int, int] | None = None  # of the trial that was looked at last, whatever came of it

    @property
    def contract(self) -> Twin:
        """Return the contract that the champion was trained under."""
        return self.champion.bundle.contract


@dataclass
class Watching:
    """The loop: settings and state between passes."""

    store: Store
    root: Path
    settings: WatchSettings
    twins: dict[str, Watched] = field(default_factory=dict)
    passes: PassCounts = field(default_factory=PassCounts)
    told: dict[str, str] = field(default_factory=dict)  # about what -> the line that was logged last

    def tell(self, about: str, line: str) -> None:
        """Log a line, unless it repeats the last one on this subject."""
        if self.told.get(about) != line:
            self.told[about] = line
            logger.warning(line)


def watch(
    store: Store, root: Path, settings: WatchSettings, stop: threading.Event, passes: PassCounts | None = None
) -> None:
    """Score new readings until `stop` is set; while the store is unavailable, retry with growing pauses.

    Champions are those under models/ of `root`, loaded anew when others take their place. `passes` counts what is done.
    """
    watching, failures = Watching(store, root, settings, passes=passes or PassCounts()), 0
    backoff = Backoff(settings.pause, LONGEST_PAUSE)
    while not stop.is_set():
        try:
            scored = _traced_pass(watching)
        except StoreError as error:
            failures += 1
            watching.passes.heartbeat.fail(str(error), pause := backoff.wait(failures))
            stop.wait(pause)
            continue
        watching.told.pop("store", None)
        watching.passes.heartbeat.done(settings.pause)
        failures = 0
        if not scored:
            stop.wait(settings.pause)


def _traced_pass(watching: Watching) -> int:
    """Run one pass in a span, which is sent where assets were scored or the store failed."""
    with work_span("pass") as span:
        try:
            scored = score_once(watching, lambda: datetime.now(UTC))
        except StoreError as error:
            watching.tell("store", f"{error}; scoring goes on once it can be used again")
            raise
        span.note(scores=scored)
        if not scored:
            span.drop()
    return scored


def score_once(watching: Watching, clock: Clock) -> int:
    """Run one pass over all twins; return how many assets were scored. StoreError as the store's transactions."""
    _renew_champions(watching)
    scored = 0
    for watched in watching.twins.values():
        _renew_policy(watching, watched)
        _renew_trial(watching, watched)
        settle_due(watching.store, {watched.policy.name: watched.policy}, clock())
        scored += _score_news(watching, watched, clock)
        watching.passes.held[watched.contract.name] = len(watched.recent), watched.recent.capacity
        if lack := describe_lack(watching.store, watched.contract.name, watched.recent, len(watching.twins)):
            logger.warning(lack)
        emit_stale(watching.store, watched.policy, clock)
    return scored


def _renew_champions(watching: Watching) -> None:
    """Load new or changed champions; one that cannot be loaded leaves the present one active."""
    kept = sorted(path.parent.parent.name for path in watching.root.glob("models/*/champion/identity.json"))
    names = kept if watching.settings.twins is None else watching.settings.twins
    memory = watching.settings.memory_bytes // max(1, len(names))
    for name in names:
        stamp, watched = champion_stamp(watching.root, name), watching.twins.get(name)
        if watched and stamp in (None, watched.stamp) and watched.recent.memory_bytes == memory:
            continue
        try:
            champion = load_champion(watching.root, name)
        except ForetwinError as error:
            watching.tell(f"champion of {name}", str(error))
            continue
        watching.told.pop(f"champion of {name}", None)
        trained = champion.bundle.contract
        watching.twins[name] = Watched(champion, stamp, WindowCache(trained, memory), trained)
        exempt_from_collection()


def _renew_policy(watching: Watching, watched: Watched) -> None:
    """Read the case policy from the present contract; an invalid one leaves the previous one active."""
    name = watched.contract.name
    stamp = file_stamp(Paths(watching.root, name).contract)
    if stamp is not None and stamp == watched.policy_stamp:
        return
    watched.policy_stamp = stamp
    try:
        watched.policy = policy_of(watching.root, watched.contract)
    except ForetwinError as error:
        watching.tell(f"contract of {name}", str(error))
    else:
        watching.told.pop(f"contract of {name}", None)


def _renew_trial(watching: Watching, watched: Watched) -> None:
    """Load a new or changed trial; an invalid one is skipped until it changes."""
    name, before = watched.contract.name, watched.beside
    stamp = trial_stamp(watching.root, name)
    if stamp == watched.trial_stamp:
        return
    watched.trial_stamp = stamp
    try:
        watched.beside = load_shadow(watching.root, watched.contract)
    except ForetwinError as error:
        watched.beside = None
        watching.tell(f"candidate of {name}", f"{name}: its candidate is not tried: {error}")
    else:
        watching.told.pop(f"candidate of {name}", None)
        exempt_from_collection()
    if before:
        before.end()
    length = max(watched.contract.window.length, watched.beside.length if watched.beside else 0)
    if length != watched.recent.length:
        watched.recent = WindowCache(watched.contract, watched.recent.memory_bytes, length)


def _read_news(store: Store, watched: Watched) -> tuple[News, ReadingQuery]:
    """Bring the windows up to the newest batch; return the assets to score, cached ones first."""
    contract, recent = watched.contract, watched.recent
    with store.read() as connection:
        wanted = ReadingQuery(contract.name, contract.channel_names, readings.last_batch(connection))
        news = windows.with_news(connection, contract.name)
        if watched.beside and len(news):
            watched.beside.find_assets(connection)
        if len(recent):
            for stretch in windows.after(connection, wanted, watched.upto, NEWS_AT_ONCE):
                recent.append(stretch)
    watched.upto = wanted.upto
    return news[np.argsort(~recent.holds(news.asset, news.run), kind="stable")], wanted


def _score_news(watching: Watching, watched: Watched, clock: Clock) -> int:
    """Score new readings part by part; while one is written, the network computes the next."""
    store, recent = watching.store, watched.recent
    news, wanted = _read_news(store, watched)
    at_once = min(watching.settings.assets_per_call, recent.capacity)
    scored = 0
    before: ScoredBatch | None = None
    with ThreadPoolExecutor(1) as network:
        for begin in range(0, len(news), at_once):
            part = news[begin : begin + at_once]
            _load_missing(store, recent, part, wanted)
            asked = network.submit(copy_context().run, _ask, watched, part)  # so that its span has the pass as parent
            if before:
                scored += _keep(watching, watched, before, wanted, clock)
            before = asked.result()
        if before:
            scored += _keep(watching, watched, before, wanted, clock)
    return scored


@dataclass(frozen=True)
class ScoredBatch:
    """A part's assets with the scores of champion and challenger."""

    part: News
    champion: LoopScores
    candidate: LoopScores


def _ask(watched: Watched, part: News) -> ScoredBatch:
    """Score with both, the champion first."""
    recent, bundle = watched.recent, watched.champion.bundle
    enough = recent.counts(part.asset) >= watched.contract.window.shortest
    with work_span("network", twin=watched.contract.name, assets=len(part)):
        answer = score_assets(bundle, recent, part.asset[enough])
        return ScoredBatch(part, answer, watched.beside.ask(recent, answer) if watched.beside else LoopScores())


def _keep(watching: Watching, watched: Watched, asked: ScoredBatch, wanted: ReadingQuery, clock: Clock) -> int:
    """Store a part's scores and their consequences in one transaction; return how many there are.

    Left out are assets that another loop has scored, that began a new run or that were erased since they were read.
    """
    contract, beside, part = watched.contract, watched.beside, asked.part
    with work_span("store", twin=contract.name, assets=len(part)) as span, watching.store.write() as connection:
        readings.serialise_writers(connection)
        now = clock()
        known = assets.by_id(connection, part.asset.tolist())
        due = {number: asset for number, asset in known.items() if asset.scored_batch < wanted.upto}
        found = due_scores(connection, watched.champion, asked.champion, part, due, now)
        if beside:
            found, heard = beside.divide(found, due_scores(connection, beside.trial, asked.candidate, part, due, now))
            shadow.add_shadow_scores(connection, heard)
        scores.add_scores(connection, found, beside is not None or thinning.rule_of(watched.policy) is None)
        review(connection, watched.policy, found, due, now)
        windows.mark_scored(connection, list(due), wanted.upto)
        span.note(scores=len(found))
    if beside:
        beside.note(asked.candidate)
    watching.passes.note(contract.name, len(found), len(asked.champion.refused))
    if refused := asked.champion.refused:
        number, reason = refused[0]
        first = f"{known[number].name if number in known else number} first: {reason}"
        logger.warning("%s: %d assets got no score, %s", contract.name, len(refused), first)
    return len(found)


def _load_missing(store: Store, recent: WindowCache, part: News, wanted: ReadingQuery) -> None:
    """Load the windows of all these assets."""
    recent.use(part.asset)  # so that those which are held do not make room for the others
    missing = part[~recent.holds(part.asset, part.run)]
    if len(missing) == 0:
        return
    with store.read() as connection:
        for begin in range(0, len(missing), LOADED_AT_ONCE):
            some = missing[begin : begin + LOADED_AT_ONCE]
            found = windows.newest_windows(connection, wanted, some.asset.tolist(), recent.length)
            recent.put(some.asset, some.run, found)
