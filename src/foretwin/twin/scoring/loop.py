"""The scoring loop: new readings, windows, scores, cases.

A pass reads new readings, scores their assets in batches, and writes scores, cases and scoring progress in one
transaction, so that a killed process leaves each asset either scored or unchanged. Several loops may run: each has the
partitions that it owns, and skips assets that another has scored before it owned them. A challenger on trial scores the
same windows in the same transaction.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from foretwin.champion.champion import Champion
from foretwin.errors import StoreError
from foretwin.project.loops import Backoff
from foretwin.serving.http.tracing import work_span
from foretwin.twin.cases.apply import review
from foretwin.twin.ingest.single_values.due import settle_due
from foretwin.twin.scoring.memory import describe_lack
from foretwin.twin.scoring.own_baselines import Kept, keep_learnt, kept_offsets
from foretwin.twin.scoring.passes import PassCounts
from foretwin.twin.scoring.pending_work import is_due
from foretwin.twin.scoring.renewal import loaded_champion, renew, renew_next
from foretwin.twin.scoring.scores import LoopScores, due_scores, score_assets
from foretwin.twin.scoring.sensor_memory import with_signatures
from foretwin.twin.scoring.staleness import emit_stale
from foretwin.twin.scoring.watched import Watched, Watching, WatchSettings
from foretwin.twin.scoring.window_cache import WindowCache
from foretwin.twin.store import Store, assets
from foretwin.twin.store.ownership.partitioning import Partition, last_batch, still_is
from foretwin.twin.store.ownership.twins_with_work import twins_with_work
from foretwin.twin.store.scoring import scores, shadow, thinning
from foretwin.twin.store.scoring.usage import Used, add_usage
from foretwin.twin.store.telemetry import windows
from foretwin.twin.store.telemetry.windows import News, ReadingQuery

NEWS_AT_ONCE = 20_000  # readings that are decoded before they are appended
LOADED_AT_ONCE = 500  # assets whose windows are read before they are put
LONGEST_PAUSE = 30.0  # s between two attempts to reach the store

Clock = Callable[[], datetime]
logger = logging.getLogger("foretwin.watch")


def watch(
    store: Store, root: Path, settings: WatchSettings, stop: threading.Event, passes: PassCounts | None = None
) -> None:
    """Score new readings until `stop` is set; while the store is unavailable, retry with growing pauses.

    Champions are those under models/ of `root`, loaded anew when others take their place. `passes` counts what is done.
    """
    counts = passes or PassCounts()
    watching, failures = Watching(store, root, settings, loaded=counts.loaded, passes=counts), 0
    backoff = Backoff(settings.pause, LONGEST_PAUSE)
    with closing(watching.owner):
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
    """Run one pass over all twins; return how many assets were scored. StoreError as the store's transactions.

    Gone through are those of which something waits, and those whose turn it is.
    """
    looked = renew_next(watching)
    owned = watching.own()
    with watching.store.read() as connection:
        newest = {partition: last_batch(connection, partition) for partition in owned}
        work = twins_with_work(connection, looked)
    asked = watching.twins.keys() & {*looked, *work.news, *work.waiting}
    due = {name for name in asked if is_due(work, watching.twins[name].policy, clock())}
    renew(watching, due.difference(looked))
    scored = 0
    for name in sorted(watching.twins.keys() & due.union(looked)):
        watched = watching.twins[name]
        if is_due(work, watched.policy, clock()) or watched.is_behind(newest):
            for partition in owned:
                settle_due(watching.store, {watched.policy.name: watched.policy}, clock(), partition)
                scored += _score_news(watching, watched, partition, clock)
                emit_stale(watching.store, watched.policy, clock, partition)
        watching.passes.held[name] = len(watched.recent), watched.recent.capacity
        if lack := describe_lack(watching.store, name, watched.recent, len(watching.twins)):
            logger.warning(lack)
    return scored


def _read_news(store: Store, watched: Watched, partition: Partition) -> tuple[News, ReadingQuery]:
    """Bring the windows up to the partition's newest batch; return its assets to score, cached ones first."""
    contract, recent = watched.contract, watched.recent
    with store.read() as connection:
        wanted = ReadingQuery(contract.name, contract.channel_names, last_batch(connection, partition), partition)
        news = windows.with_news(connection, contract.name, partition)
        if watched.beside and len(news):
            watched.beside.find_assets(connection)
        if len(recent) and partition in watched.upto:
            for stretch in windows.after(connection, wanted, watched.upto[partition], NEWS_AT_ONCE):
                recent.append(stretch)
    watched.upto[partition] = wanted.upto
    return news[np.argsort(~recent.holds(news.asset, news.run), kind="stable")], wanted


def _score_news(watching: Watching, watched: Watched, partition: Partition, clock: Clock) -> int:
    """Score new readings of a partition part by part; while one is written, the network computes the next."""
    store, recent = watching.store, watched.recent
    news, wanted = _read_news(store, watched, partition)
    champion = loaded_champion(watching, watched) if len(news) else None
    if champion is None:
        return 0
    at_once = min(watching.settings.assets_per_call, recent.capacity)
    scored = 0
    before: ScoredBatch | None = None
    with ThreadPoolExecutor(1) as network:
        for begin in range(0, len(news), at_once):
            part = news[begin : begin + at_once]
            _load_missing(store, recent, part, wanted)
            kept = kept_offsets(store, watched.bundles, part.asset)
            # In a copy of the context, so that its span has the pass as parent.
            asked = network.submit(copy_context().run, _ask, watched, champion, part, kept)
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
    kept: Kept  # of baselines of their own


def _ask(watched: Watched, champion: Champion, part: News, kept: Kept) -> ScoredBatch:
    """Score with both, the champion first."""
    recent, bundle = watched.recent, champion.bundle
    enough = recent.counts(part.asset) >= watched.contract.window.shortest
    with work_span("network", twin=watched.contract.name, assets=len(part)):
        answer = score_assets(bundle, recent, part.asset[enough], kept)
        beside = watched.beside.ask(recent, answer, kept) if watched.beside else LoopScores()
        return ScoredBatch(part, answer, beside, kept)


def _keep(watching: Watching, watched: Watched, asked: ScoredBatch, wanted: ReadingQuery, clock: Clock) -> int:
    """Store a part's scores and their consequences in one transaction; return how many there are.

    Left out are assets that another loop has scored, that began a new run or that were erased since they were read; all
    of them where the partition has become another's.
    """
    contract, beside, part = watched.contract, watched.beside, asked.part
    with work_span("store", twin=contract.name, assets=len(part)) as span, watching.store.write() as connection:
        if not still_is(connection, wanted.partition) or not watching.owner.holds(wanted.partition):
            return 0
        now = clock()
        known = assets.by_id(connection, part.asset.tolist())
        last = dict(zip(part.asset.tolist(), part.batch.tolist(), strict=True))
        due = {number: asset for number, asset in known.items() if asset.scored_batch < last[number]}
        found = with_signatures(connection, due_scores(connection, watched.champion, asked.champion, part, due, now))
        if beside:
            found, heard = beside.divide(found, due_scores(connection, beside.trial, asked.candidate, part, due, now))
            shadow.add_shadow_scores(connection, heard)
        scores.add_scores(connection, found, beside is not None or thinning.rule_of(watched.policy) is None)
        own = wanted.partition.number if wanted.partition.count > 1 else -1
        add_usage(connection, "scores", (Used(due[one.asset], own, 1) for one in found), now)
        review(connection, watched.policy, found, due, now)
        keep_learnt(connection, asked.kept, asked.champion.learnt, found)
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
