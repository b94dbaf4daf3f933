"""How a sensor began to fail, kept in mind while its channel goes on departing alone.

A jump lies in the windows that it falls into; once it lies behind them, what is left looks like a slow departure. So a
score is given the signature of the one before it, of the same run and channel.
"""

from collections.abc import Sequence
from dataclasses import replace

from foretwin.predictor.health.warning_kinds import ALONE, failing_sensor, lone_channel
from foretwin.twin.store import Connection
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score


def with_signatures(connection: Connection, found: Sequence[Score]) -> list[Score]:
    """Return the scores, each lone channel with the signature that the asset's last score told of it."""
    return [_signed(connection, score) if lone_channel(score.warnings) else score for score in found]


def _signed(connection: Connection, score: Score) -> Score:
    before, channel = scores.last(connection, score.asset), lone_channel(score.warnings)
    told = failing_sensor(before.warnings) if before is not None and before.run == score.run else None
    if before is None or told is None or before.time > score.time or not told.split(": ")[1].startswith(f"{channel} "):
        return score
    return replace(score, warnings=[told if one.endswith(f"{channel} {ALONE}") else one for one in score.warnings])
