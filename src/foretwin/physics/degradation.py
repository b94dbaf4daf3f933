"""A machine's forward model: what its fleet taught about wear, kept as JSON, and lives run on under other duties.

Only the simulated pump has one. `forward_learning` makes it, the stage `forward` keeps it, and the living
twin asks it what would become of a pump that is run otherwise. Times are hours.
"""

import hashlib
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
from foretwin.project.files import fresh_file

FORMAT = 1
FILE = "forward.json"
DRAWS = 200  # of a pump's state, its wear and its future
HORIZON_CAPS = 3  # lives are run on for as many caps of the RUL, so that duties can be told apart beyond it
BANDS = (0.5, 1.0, 1.5, 2.0)  # caps: where one band of the forecast median ends and the next begins
TENTHS = 10
RATED_RPM = PUBLISHED.rated_speed / RADIANS_PER_RPM


@dataclass(frozen=True)
class Pipe:
    """What a pump has to overcome, as a pipe's curve: a column at rest, and friction with the square of the flow.

    The flow is taken to follow the speed, so that lift = still + moving (speed / rated speed)^2, bar.
    """

    still: float
    moving: float

    def lift(self, commanded_speed: Array) -> Array:
        """Discharge less suction pressure, bar, at these rpm."""
        lift: Array = self.still + self.moving * (commanded_speed / RATED_RPM) ** 2
        return lift


@dataclass(frozen=True)
class Forward:
    """All that must be known of a fleet before the readings of one of its pumps are seen."""

    twin: str
    fleet: Fleet
    sensors: Sensors
    pipe: Pipe
    ran: Mapping[str, tuple[float, float]]  # setting -> least and greatest that the fleet was asked for
    cap: float  # of the RUL
    level: float  # of the intervals
    trust: Array  # (bands, TENTHS) chance that a life ends in that tenth of its draws, by the band of their median
    learnt_from: Mapping[str, str]  # what -> SHA-256

    @property
    def horizon(self) -> int:
        """How many hours lives are run on."""
        return int(np.ceil(HORIZON_CAPS * self.cap))

    def objection(self, setting: str, value: float) -> str:
        """Why no life can be run on with `setting` at `value`; empty where it can."""
        if setting not in self.ran:
            return f"is no setting of {self.twin} that can be changed; these can: {', '.join(self.ran)}"
        at_rest = setting == "commanded_speed" and value <= 0
        return "a pump at rest is not modelled; ask for more than 0 rpm" if at_rest else ""

    def delivers(self, belief: Belief, commanded_speed: float) -> bool:
        """Whether the one pump believed in, as worn as it is now, is fast enough at these rpm to lift anything."""
        rpm, rated = np.array([commanded_speed]), PUBLISHED.rated_suction / PASCALS_PER_BAR
        settings = {"commanded_speed": rpm, "discharge_pressure": rated + self.pipe.lift(rpm)}
        duty = Duty.from_settings(settings | {"ambient_temperature": np.zeros(1)})
        return bool(operate(state_of(belief.mean), duty).flow > 0)  # what leaves it holds the leak too

    def weights(self, left: Array) -> Array:
        """(P,) how far each draw is to be trusted, 1 together, where the lives drawn last for `left` (P,) hours.

        The law of wear knows no sudden onset of wear, so the forecast of a pump that is in order is too hopeful. How
        the lives of the development pumps ended among their draws says by how much (quantile recalibration after
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
        """SHA-256 of the content."""
        return _digest(_content(self))


def forecast(
    forward: Forward,
    belief: Belief,
    recent: Recordings,
    options: Sequence[Mapping[str, Array]],
    generator: np.random.Generator,
) -> Ends:
    """How the life of one pump ends under each of the options, (O, DRAWS) each.

    `belief` is about what is hidden in the pump, `recent` its latest settings, pieces of which its future is made of
    where an option does not say otherwise: setting -> its value in each hour up to the horizon. All options share the
    same draws, so that the differences between them owe nothing to chance. A changed speed changes the discharge
    pressure along the pipe's curve. BadInput where a pump cannot run so.
    """
    hidden = np.repeat(belief.draw(DRAWS, generator), len(options), axis=0)
    present = future_settings(recent, (DRAWS,), forward.horizon, generator)
    future = (
        (_duty(settings, options, hour, forward.pipe), generator.standard_normal((DRAWS, 3)))
        for hour, settings in enumerate(present)
    )
    return run_on(hidden, forward.fleet.law, future)


def bands_of(left: Array, cap: float) -> NDArray[np.int64]:
    """(N,) the band of each forecast's median; `left` are its draws (N, P), h."""
    median = np.quantile(left, 0.5, axis=1, method="lower")  # interpolating would ask for infinity less infinity
    return np.digitize(median, np.array(BANDS) * cap).astype(np.int64)


def save_forward(forward: Forward, path: Path) -> None:
    """Write the model with its digest."""
    content = _content(forward)
    _write({**content, "digest": _digest(content)}, path)


def save_none(twin: str, reason: str, path: Path) -> None:
    """Write that this twin has no forward model, and why."""
    _write({"format": FORMAT, "twin": twin, "model": None, "reason": reason}, path)


def load_forward(path: Path) -> Forward:
    """Read what `save_forward` wrote.

    BadInput where the twin has no forward model, or its stage has not run; BundleError where the file is damaged.
    """
    twin = path.parent.name
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput("twin", f"{twin} has no forward model yet: `dvc repro forward@{twin}` makes it") from None
    except ValueError:
        raise BundleError(f"{path}: is no JSON: run `dvc repro forward@{twin}` again") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BundleError(f"{path}: is no forward model of format {FORMAT}: run `dvc repro forward@{twin}` again")
    if content.get("model", "") is None:
        raise BadInput("twin", f"{twin} has no forward model: {content.get('reason')}")
    if content.pop("digest", None) != _digest(content):
        raise BundleError(f"{path}: was altered after it was written: run `dvc repro forward@{twin}` again")
    return _forward(content)


def _duty(settings: Mapping[str, Array], options: Sequence[Mapping[str, Array]], hour: int, pipe: Pipe) -> Duty:
    """The duty of a coming hour, (O, DRAWS), from the present settings (DRAWS,) and what each option changes."""
    asked = {
        name: np.stack([np.full_like(values, option[name][hour]) if name in option else values for option in options])
        for name, values in settings.items()
    }
    more_lift = pipe.lift(asked["commanded_speed"]) - pipe.lift(settings["commanded_speed"])
    return Duty.from_settings(asked | {"discharge_pressure": asked["discharge_pressure"] + more_lift})


def _content(forward: Forward) -> dict[str, Any]:
    """The model as JSON has it."""
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


def _forward(content: Mapping[str, Any]) -> Forward:
    def arrays(name: str, of: str) -> Array:
        return np.array(content[name][of], np.float64)

    law = WearLaw(*(arrays("law", of) for of in ("drift", "memory", "spread")))
    return Forward(
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


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _write(content: Mapping[str, Any], path: Path) -> None:
    with fresh_file(path) as out:
        out.write_text(json.dumps(content) + "\n", encoding="utf-8")
