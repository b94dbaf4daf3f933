"""What was trained for a twin, and the model that is made of it: a blend of candidates, or one network's ensemble."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.project.params import TrainParams
from foretwin.training.candidates.blend import make_blend, save_blend, write_blend_record
from foretwin.training.candidates.classical import FoldParts, fit_classical
from foretwin.training.candidates.wear_features import PHYSICS, check_physics
from foretwin.training.ensemble import Member, save_ensemble, train_members, training_record
from foretwin.training.trainer import Choice


@dataclass(frozen=True)
class Trained:
    """Members of each network by its name, and the other candidates, each of a seed and a fold."""

    networks: Mapping[str, list[Member]]
    classical: Sequence[FoldParts] = ()

    @property
    def first(self) -> str:
        """Return the network whose curves and choice are told: the tuned one where it is a candidate."""
        return "network" if "network" in self.networks else next(iter(self.networks))

    @property
    def seconds(self) -> float:
        """Return how long all of it was trained, in seconds of one core."""
        networks = sum(member.seconds for members in self.networks.values() for member in members)
        return round(networks + sum(sum(parts.seconds.values()) for parts in self.classical), 1)

    @property
    def spent(self) -> list[dict[str, Any]]:
        """Return candidate, seed, fold and seconds of each part; a candidate is named as in params.yaml."""
        found = [(name, one.seed, one.fold, one.seconds) for name, members in self.networks.items() for one in members]
        found += [(name, one.seed, one.fold, spent) for one in self.classical for name, spent in one.seconds.items()]
        keys = ("candidate", "seed", "fold", "seconds")
        return [dict(zip(keys, (*part[:3], round(part[3], 2)), strict=True)) for part in found]

    def of_seeds(self, seeds: Collection[int]) -> "Trained":
        """Return what was trained with these seeds."""
        networks = {name: [one for one in members if one.seed in seeds] for name, members in self.networks.items()}
        return Trained(networks, [parts for parts in self.classical if parts.seed in seeds])

    def save(
        self, development: Development, contract: Twin, params: TrainParams, bundle: Path, candidates: Path
    ) -> dict[str, Any]:
        """Write the model into the empty folder `bundle`, its parts into the empty `candidates`; return its record."""
        members = self.networks[self.first]
        if not params.candidates and contract.health is None:
            record = save_ensemble(members, development, contract, params, bundle)
            write_blend_record(candidates, {"weights": {}})
            return record
        blended = make_blend(self.networks, self.classical, development, contract, params)
        blend = save_blend(blended, development, contract, params, bundle, candidates)
        return training_record(members, contract, params, blend["bundle"]) | {"blend": blend}


def train_networks(
    development: Development, contract: Twin, choices: Mapping[str, Choice], params: TrainParams, work: Path
) -> Iterator[tuple[str, Member]]:
    """Train each network for each seed and fold; yield its name and the member. Checkpoints are kept below `work`.

    TrainingError before that where a candidate needs a physics that is not known.
    """
    if PHYSICS in params.candidates:
        check_physics(contract)
    for name, choice in choices.items():
        folder = work if name == "network" else work / name
        for member in train_members(development, contract, choice, params, folder):
            yield name, member


def train_others(
    development: Development, contract: Twin, choices: Collection[str], params: TrainParams
) -> list[FoldParts]:
    """Fit the candidates that are no networks, which are those of `choices`, and distances where there is health."""
    names = [name for name in params.candidates if name not in choices]
    return list(fit_classical(development, contract, names, params))
