"""Degradation model of a fleet: its law of wear, kept as JSON, and forecasts of life under other duties.

Only the simulated pump has one. `degradation_fit` fits it, the stage `degradation` saves it, and the living twin
answers what-if questions with it. Times are hours.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretwin.errors import BadInput, BundleError
from foretwin.physics.pump import PUBLISHED, operate
from foretwin.physics.pump.beliefs import Belief
from foretwin.physics.pump.filtering import Recordings, Sensors, WearLaw, state_of
from foretwin.physics.pump.forecasting import Ends, future_settings, run_on
from foretwin.physics.pump.learning import Fleet
from foretwin.physics.pump.quantities import PASCALS_PER_BAR, RADIANS_PER_RPM, Array, Duty
from foretwin.project.digests import json_digest
from foretwin.project.files import fresh_file
from foretwin.project.json import strict_json

FORMAT = 1
FILE = "forward.json"
DRAWS = 200  # of a pump's state, its wear and its future
HORIZON_CAPS = 3  # lives are simulated for this many caps of the RUL, so that duties differ beyond the cap too
BANDS = (0.5, 1.0, 1.5, 2.0)  # edges between bands of the forecast median, in caps
TENTHS = 10
RATED_RPM = PUBLISHED.rated_speed / RADIANS_PER_RPM


@dataclass(frozen=True)
class Pipe:
    """System curve of a pump's pipe: static head, and friction with the square of the flow.

    The flow is assumed proportional to the speed, so lift = still + moving (speed / rated speed)^2, bar.
    """

    still: float
    moving: float

    def lift(self, commanded_speed: Array) -> Array:
        """Return discharge less suction pressure, bar, at these rpm."""
        lift: Array = self.still + self.moving * (commanded_speed / RATED_RPM) ** 2
        return lift


@dataclass(frozen=True)
class DegradationModel:
    """Degradation model of a fleet: the prior for each pump before its own readings."""

    twin: str
    fleet: Fleet
    sensors: Sensors
    pipe: Pipe
    ran: Mapping[str, tuple[float, float]]  # setting -> smallest and largest value in the fleet's recordings
    cap: float  # of the RUL
    level: float  # of the intervals
    trust: Array  # (bands, TENTHS) probability that a life ends in that tenth of its draws, by the band of their median
    learnt_from: Mapping[str, str]  # name of an input -> SHA-256

    @property
    def horizon(self) -> int:
        """Return the number of hours that lives are simulated."""
        return int(np.ceil(HORIZON_CAPS * self.cap))

    def objection(self, setting: str, value: float) -> str:
        """Return why no life can be simulated with `setting` at `value`; empty where it can."""
        if setting not in self.ran:
            return f"is no setting of {self.twin} that can be changed; these can: {', '.join(self.ran)}"
        at_rest = setting == "commanded_speed" and value <= 0
        return "a pump at rest is not modelled; ask for more than 0 rpm" if at_rest else ""

    def delivers(self, belief: Belief, commanded_speed: float) -> bool:
        """Return whether the single pump of `belief`, as worn as it is now, delivers any flow at these rpm."""
        rpm, rated = np.array([commanded_speed]), PUBLISHED.rated_suction / PASCALS_PER_BAR
        settings = {"commanded_speed": rpm, "discharge_pressure": rated + self.pipe.lift(rpm)}
        duty = Duty.from_settings(settings | {"ambient_temperature": np.zeros(1)})
        return bool(operate(state_of(belief.mean), duty).flow > 0)  # `discharge_flow` would include the leak

    def weights(self, left: Array) -> Array:
        """Return the weights (P,), of sum 1, of draws whose lives last for `left` (P,) hours.

        The law of wear has no sudden onset of wear, so the forecast of a healthy pump is too optimistic. The ranks of
        the development pumps' lives among their draws correct it (quantile recalibration after
        V. Kuleshov, N. Fenner and S. Ermon, ICML 2018). Draws that last equally long weigh the same.
        """
        trust = self.trust[bands_of(left[None], self.cap)[0]]
        order = np.argsort(left, kind="stable")
        weights = np.empty(len(left))
        weights[order] = trust[np.arange(len(left)) * TENTHS // len(left)]
        _, group = np.unique(left, return_inverse=True)
        even: Array = (np.bincount(group, weights) / np.bincount(group))[group]
        return np.asarray(even / even.sum())

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the content."""
        return json_digest(_content(self))


def forecast(
    forward: DegradationModel,
    belief: Belief,
    recent: Recordings,
    options: Sequence[Mapping[str, Array]],
    generator: np.random.Generator,
) -> Ends:
    """Forecast the end of life of one pump under each of the options, (O, DRAWS) each.

    `belief` is the estimated hidden state, `recent` the pump's latest settings, pieces of which make up its future
    where an option does not replace them: setting -> its value in each hour up to the horizon. All options share the
    same draws, so that chance does not add to the differences between them. A changed speed changes the discharge
    pressure along the pipe's curve. BadInput where a pump cannot run under an option.
    """
    hidden = np.repeat(belief.draw(DRAWS, generator), len(options), axis=0)
    present = future_settings(recent, (DRAWS,), forward.horizon, generator)
    future = (
        (_duty(settings, options, hour, forward.pipe), generator.standard_normal((DRAWS, 3)))
        for hour, settings in enumerate(present)
    )
    return run_on(hidden, forward.fleet.law, future)


def bands_of(left: Array, cap: float) -> NDArray[np.int64]:
    """Return the band (N,) of each forecast's median; `left` are its draws (N, P), h."""
    median = np.quantile(left, 0.5, axis=1, method="lower")  # interpolation would compute infinity - infinity
    return np.digitize(median, np.array(BANDS) * cap).astype(np.int64)


def save_degradation(forward: DegradationModel, path: Path) -> None:
    """Write the model with its digest."""
    content = _content(forward)
    _write({**content, "digest": json_digest(content)}, path)


def save_no_degradation(twin: str, reason: str, path: Path) -> None:
    """Write the reason why this twin has no degradation model."""
    _write({"format": FORMAT, "twin": twin, "model": None, "reason": reason}, path)


def load_degradation(path: Path) -> DegradationModel:
    """Read a model of `save_forward`.

    BadInput where the twin has no degradation model, or its stage has not run; BundleError where the file is damaged.
    """
    twin = path.parent.name
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        fix = f"run `dvc repro data/{twin}/dvc.yaml:degradation`"
        raise BadInput("twin", f"{twin} has no degradation model; {fix}") from None
    except ValueError:
        raise BundleError(f"{path}: not JSON; run `dvc repro data/{twin}/dvc.yaml:degradation`") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        fix = f"run `dvc repro data/{twin}/dvc.yaml:degradation`"
        raise BundleError(f"{path}: not a degradation model of format {FORMAT}; {fix}")
    if content.get("model", "") is None:
        raise BadInput("twin", f"{twin} has no degradation model: {content.get('reason')}")
    if content.pop("digest", None) != json_digest(content):
        raise BundleError(f"{path}: altered after it was written; run `dvc repro data/{twin}/dvc.yaml:degradation`")
    return _forward(content)


def _duty(settings: Mapping[str, Array], options: Sequence[Mapping[str, Array]], hour: int, pipe: Pipe) -> Duty:
    """Return the duty of a coming hour, (O, DRAWS), from present settings (DRAWS,) and the changes of each option."""
    asked = {
        name: np.stack([np.full_like(values, option[name][hour]) if name in option else values for option in options])
        for name, values in settings.items()
    }
    more_lift = pipe.lift(asked["commanded_speed"]) - pipe.lift(settings["commanded_speed"])
    return Duty.from_settings(asked | {"discharge_pressure": asked["discharge_pressure"] + more_lift})


def _content(forward: DegradationModel) -> dict[str, Any]:
    """Convert the model to plain values for JSON."""
    fleet, sensors = forward.fleet, forward.sensors
    return {
        "format": FORMAT,
        "twin": forward.twin,
        "model": "pump",
        "learnt_from": dict(forward.learnt_from),
        "cap": forward.cap,
        "level": forward.level,
        "trust": forward.trust.tolist(),
        "ran": {name: list(limits) for name, limits in forward.ran.items()},
        "pipe": asdict(forward.pipe),
        "sensors": {
            "names": list(sensors.names),
            "share": sensors.share.tolist(),
            "absolute": sensors.absolute.tolist(),
        },
        "law": {name: values.tolist() for name, values in vars(fleet.law).items()},
        "by_age": {name: values.tolist() for name, values in vars(fleet.by_age).items()},
    }


def _forward(content: Mapping[str, Any]) -> DegradationModel:
    def arrays(name: str, of: str) -> Array:
        return np.array(content[name][of], np.float64)

    law = WearLaw(*(arrays("law", of) for of in ("drift", "memory", "spread")))
    return DegradationModel(
        twin=content["twin"],
        fleet=Fleet(law, Belief(arrays("by_age", "mean"), arrays("by_age", "covariance"))),
        sensors=Sensors(tuple(content["sensors"]["names"]), arrays("sensors", "share"), arrays("sensors", "absolute")),
        pipe=Pipe(**content["pipe"]),
        ran={name: (low, high) for name, (low, high) in content["ran"].items()},
        cap=content["cap"],
        level=content["level"],
        trust=np.array(content["trust"], np.float64),
        learnt_from=content["learnt_from"],
    )


def _write(content: Mapping[str, Any], path: Path) -> None:
    with fresh_file(path) as out:
        out.write_text(strict_json(content) + "\n", encoding="utf-8")
