"""Candidates that a blend was made of, as the stage `train` leaves them: a bundle each."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foretwin.evaluation.held_out import Predictions
from foretwin.predictor.bundle import Bundle

CANDIDATE = "candidate "  # before the name of one among the predictions of baselines


def load_candidates(folder: Path) -> dict[str, Bundle]:
    """Load the bundles of a blend's candidates, by name; none where the bundle is no blend."""
    names = read_blend_record(folder).get("candidates", ())
    return {name: Bundle.load(folder / name) for name in names}


def read_blend_record(folder: Path) -> dict[str, Any]:
    """Read weights and errors out of fold of a blend; empty where there is no record of one."""
    path = folder / "blend.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def candidates_among(said: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """Return the predictions of candidates alone, by their own names."""
    return {name.removeprefix(CANDIDATE): one for name, one in said.items() if name.startswith(CANDIDATE)}
