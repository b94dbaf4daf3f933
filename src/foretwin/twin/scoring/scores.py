"""Score cached windows with `Bundle.score`, and convert the result to rows of the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from foretwin.champion.challenger import Challenger
from foretwin.champion.champion import Champion
from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, BundleError
from foretwin.predictor.bundle import Answers, Bundle
from foretwin.predictor.guards import check_readings
from foretwin.predictor.records import score_records
from foretwin.twin.scoring.own_baselines import Kept, learnt_offsets, offsets_for
from foretwin.twin.scoring.window_cache import WindowCache
from foretwin.twin.store import Connection, assets
from foretwin.twin.store.scoring.scores import Score, model_id
from foretwin.twin.store.telemetry.windows import News


@dataclass(frozen=True)
class LoopScores:
    """What a bundle says of some assets, by their ids, and the assets that it cannot score, with why."""

    scored: tuple[Answers, ...] = ()
    refused: tuple[tuple[int, str], ...] = ()
    learnt: Kept = field(default_factory=dict)  # of baselines of machines' own, if their windows count


def score_assets(
    bundle: Bundle, recent: WindowCache, chosen: NDArray[np.int64], kept: Kept, most_refused: int | None = None
) -> LoopScores:
    """Score the windows of these assets (N,), by their numbers, with what is `kept` of baselines of their own.

    An asset that cannot be scored is looked for by halving, so that it does not stop the others; once `most_refused`
    were found, the rest of a call that failed counts as refused too.
    """
    if len(chosen) == 0:
        return LoopScores()
    try:
        tracks = recent.inputs(chosen, bundle.contract)
        check_readings(tracks, bundle.contract)
        if bundle.own is not None:
            tracks = replace(tracks, own=offsets_for(kept, tracks, bundle.contract))
        return LoopScores((bundle.answer(tracks),), learnt=learnt_offsets(bundle, tracks))
    except (BadInput, BundleError) as error:
        reason = str(error)
    if len(chosen) == 1 or (most_refused is not None and most_refused <= 0):
        return LoopScores(refused=tuple((number, reason) for number in chosen.tolist()))
    before, after = np.array_split(chosen, 2)
    first = score_assets(bundle, recent, before, kept, most_refused)
    left = None if most_refused is None else most_refused - len(first.refused)
    second = score_assets(bundle, recent, after, kept, left)
    return LoopScores(first.scored + second.scored, first.refused + second.refused, {**first.learnt, **second.learnt})


def as_scores(
    contract: Twin, answers: Answers, model: int, received_at: Mapping[int, float], now: datetime
) -> list[Score]:
    """The rows that keep these answers; `received_at` (s since 1970) is when the last reading of each asset came."""
    moment = now.timestamp()
    return [
        Score(one.asset, one.run, one.time, model, now, max(0.0, moment - received_at[one.asset]), *one[3:])
        for one in score_records(contract, answers)
    ]


def due_scores(
    connection: Connection,
    by: Champion | Challenger,
    answer: LoopScores,
    part: News,
    due: Mapping[int, assets.Asset],
    now: datetime,
) -> list[Score]:
    """Return the scores of those assets that are due and still in the scored run."""
    if not answer.scored:
        return []
    contract, calibration = by.bundle.contract, by.bundle.calibration
    level = calibration.level if calibration else None
    received_at = dict(zip(part.asset.tolist(), part.received_at.tolist(), strict=True))
    model = model_id(connection, contract.name, by.identity, by.bundle.contract_digest, now, level)
    made = (score for one in answer.scored for score in as_scores(contract, one, model, received_at, now))
    return [score for score in made if score.asset in due and due[score.asset].run == score.run]
