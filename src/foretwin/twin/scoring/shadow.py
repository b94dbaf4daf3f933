"""Run a challenger next to the champion on the same windows, in shadow or as a pilot.

Whatever becomes of the candidate, the champion is asked as if there were none, and its answer counts where the
candidate gives none.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foretwin.champion.challenger import PILOT, Challenger, end_if_champion, load_trial, mismatch
from foretwin.contract.twin import Twin
from foretwin.errors import BundleError, ForetwinError
from foretwin.project.paths import Paths
from foretwin.twin.scoring.own_baselines import Kept
from foretwin.twin.scoring.scores import LoopScores, score_assets
from foretwin.twin.scoring.window_cache import WindowCache
from foretwin.twin.store import Connection, assets
from foretwin.twin.store.scoring.scores import Score

MOST_REFUSED = 10  # in one call; a candidate that cannot score these is not asked about the others one by one

logger = logging.getLogger("foretwin.watch")


def load_shadow(root: Path, champion: Twin) -> "ShadowScorer | None":
    """Load the trial of this contract; one whose challenger has become champion is ended instead.

    BundleError where it cannot be loaded, or does not go with the champion.
    """
    try:
        trial = load_trial(root, champion.name)
    except ForetwinError:
        raise
    except Exception as error:  # a network that onnxruntime cannot read
        raise BundleError((str(error).splitlines() or [repr(error)])[0]) from error
    if trial is None:
        if end_if_champion(Paths(root, champion.name)):
            logger.info("%s: its candidate is the champion now, the trial is over", champion.name)
        return None
    reason = mismatch(trial.bundle.contract, champion, trial.mode)
    if reason:
        raise BundleError(reason)
    return ShadowScorer(trial)


@dataclass
class ShadowScorer:
    """A trial in the loop."""

    trial: Challenger
    numbers: frozenset[int] = frozenset()  # the assets of a pilot, as they are known at this pass
    silent: int = 0  # how often it gave no score where the champion did

    @property
    def length(self) -> int:
        """Return how many readings of an asset the challenger needs."""
        return self.trial.bundle.contract.window.length

    def find_assets(self, connection: Connection) -> None:
        """Look up the assets of a pilot; unknown ones, or those of another twin, are skipped."""
        if self.trial.assets is not None:
            found = assets.find_all(connection, self.trial.assets).values()
            self.numbers = frozenset(one.id for one in found if one.twin == self.trial.bundle.contract.name)

    def ask(self, recent: WindowCache, said: LoopScores, kept: Kept) -> LoopScores:
        """Score with the challenger those assets that the champion has scored; in a pilot, only the pilot's.

        An asset whose run is too short for it has no answer, and is not refused either.
        """
        if not said.scored:
            return LoopScores()
        scored: NDArray[np.int64] = np.concatenate([answers.assets for answers in said.scored])
        if self.trial.assets is not None:
            scored = scored[np.isin(scored, list(self.numbers))]
        chosen = scored[recent.counts(scored) >= self.trial.bundle.contract.window.shortest]
        try:
            return score_assets(self.trial.bundle, recent, chosen, kept, MOST_REFUSED)
        except Exception as error:  # onnxruntime's own, a lack of memory: the champion goes on
            reason = (str(error).splitlines() or [repr(error)])[0]
            return LoopScores(refused=tuple((number, reason) for number in chosen.tolist()))

    def divide(self, champion: Sequence[Score], candidate: Sequence[Score]) -> tuple[list[Score], list[Score]]:
        """Split into served scores, one for each of the champion's, and shadow scores kept for comparison."""
        other = {(score.asset, score.run, score.time): score for score in candidate}
        pairs = [(score, other.get((score.asset, score.run, score.time))) for score in champion]
        if self.trial.mode == PILOT:
            return [two or one for one, two in pairs], [one for one, two in pairs if two]
        return list(champion), [two for _, two in pairs if two]

    def note(self, answer: LoopScores) -> None:
        """Count assets that the challenger could not score; log the first."""
        if answer.refused and not self.silent:
            logger.warning("%s gave no score, the champion answers: %s", self, answer.refused[0][1])
        self.silent += len(answer.refused)

    def end(self) -> None:
        """Log how the trial ended."""
        failed = f"; {self.silent} times it gave no score" if self.silent else ""
        logger.info("%s is no longer tried%s", self, failed)

    def __str__(self) -> str:
        return f"{self.trial.bundle.contract.name}: the candidate, version {self.trial.identity.version},"
