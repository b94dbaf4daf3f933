"""BentoML as its documentation writes a service: an API method with pydantic types; its own metrics, and no key."""

import os
from pathlib import Path
from typing import Any

import bentoml

from benchmarks.speed.peers.model import Model
from benchmarks.speed.peers.typed import Answer, Asset


@bentoml.service(name="peer")
class Scoring:
    """PEER_BUNDLE names the bundle's folder."""

    def __init__(self) -> None:
        self.model = Model(Path(os.environ["PEER_BUNDLE"]))

    @bentoml.api(route="/v1/score")  # type: ignore[untyped-decorator]
    def score(self, twin: str, assets: list[Asset]) -> Answer:
        """Score a call of one twin."""
        if twin != self.model.twin:
            raise bentoml.exceptions.NotFound(f"twin: is not {self.model.twin}")
        numbers = [asset.numbers(self.model.channels) for asset in assets]
        said: dict[str, Any] = {"scores": self.model.scores([asset.asset for asset in assets], numbers)}
        return Answer.model_validate(said | {"model": self.model.identity})
