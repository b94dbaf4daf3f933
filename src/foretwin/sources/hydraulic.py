"""Source hydraulic: UCI's test rig, 60 s load cycles of a real rig with the condition of four components imposed.

N. Helwig, E. Pignanelli, A. Schuetze, "Condition Monitoring of a Complex Hydraulic System Using Multivariate
Statistics", I2MTC 2015, doi 10.1109/I2MTC.2015.7151267.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.table import FAULT_UNKNOWN, canonical, fault_column
from foretwin.errors import ContractError, SourceError
from foretwin.sources.download import Archive, local_copy, obtain, unpack

CYCLE = 60  # seconds, and rows, per cycle
SENSORS_100_HZ = ("PS1", "PS2", "PS3", "PS4", "PS5", "PS6", "EPS1")
SENSORS = (*SENSORS_100_HZ, "FS1", "FS2", "TS1", "TS2", "TS3", "TS4", "VS1")

# Column of the profile -> its value (%, and bar for the accumulator) -> class of the contract's axis of that name.
STATES = {
    "cooler": {100: "full", 20: "reduced", 3: "near_failure"},
    "valve": {100: "optimal", 90: "small_lag", 80: "severe_lag", 73: "near_failure"},
    "pump": {0: "none", 1: "weak", 2: "severe"},
    "accumulator": {130: "optimal", 115: "slightly_reduced", 100: "severely_reduced", 90: "near_failure"},
}
SUBSETS = {0: "stable", 1: "unstable"}  # the profile's fifth column; 1 = static conditions might not have been reached

OFFICIAL = Archive(
    name="condition+monitoring+of+hydraulic+systems.zip",
    folder="hydraulic",
    size=76601704,
    sha256="24128aad2ee45eea7e6b63ebbd9992cdf25d0483a2cebefbfc13bc69079af1f2",
    url="https://archive.ics.uci.edu/static/public/447/condition+monitoring+of+hydraulic+systems.zip",
)
OFFICIAL_PART = Archive(
    name="hydraulic_official_part.zip",
    folder="hydraulic",
    size=4733814,
    sha256="9465e6c4d1fad78f3d51e3968d0453a0db45ca96064ba59a87107c67732a3c99",
)
MEANS = Archive(
    name="hydraulic_1hz_means.zip",
    folder="hydraulic",
    size=2995929,
    sha256="39eae7695d6003612d5aa54bb4d2d0a186351fd6c84241ed293292362ed1dcdc",
)
ARCHIVES = (OFFICIAL, OFFICIAL_PART, MEANS)

PART_DIGESTS = {
    "FS1.txt": "7ff09b17047f776befc136b7902bc7bd4419f96dc107a7ae94d8c412effe0375",
    "FS2.txt": "5ee983f88e15ee054846b183224ebcab568b07e3bbe70a4f7f838e603cf1177f",
    "TS1.txt": "49cae5e9013d8e230698d95f53a98bb77fedfe3c86985b812cf701dcc9ef06d8",
    "TS2.txt": "34115a5b86886d83c0592c1ed259605634a8c83d3a051e97bf3e5790f1db58fa",
    "TS3.txt": "cc271852b4caad39a3b8f5c36d948b57f6cab761dad8b4c7bdd7cb7e99c0b980",
    "TS4.txt": "548b903f7cd4ea7f2497c0063bdda4bdf8793d55ff43a7d694b8cb835eaf2f55",
    "VS1.txt": "a6227d9bcb807ee9835c32e73834d3eb9262f0f5cad1b176ca10c473ced25e99",
    "profile.txt": "867987ca884b2f0fd607ad3918329eba887d095af2befa21122cea518eaa584a",
}
RAW_DIGESTS = {
    "PS1.txt": "594e43e2af8a8ea7b72a3033a664c8ffa9405711",
    "PS2.txt": "2572642dfcef41b0aa5df064d5b7e74f846f018e",
    "PS3.txt": "411e25f42c531ff61b4e634f31e46901e67d66e1",
    "PS4.txt": "97db9ce9686f4b6f7a5d74069b42ada593c4944a",
    "PS5.txt": "d7bcc1d404fb2de041db44d95c9e01264ce2b556",
    "PS6.txt": "9852eb11d36e3e5c885e581e4226b1bd2c19eff0",
    "EPS1.txt": "1832df11205d00f595d924df3402af3bc23a38de",
}
MEANS_DIGESTS = {
    "PS1.1hz_mean.tsv": "24e465818ceb6b467481cb61700c924ea0c5cef2a5171e58987ab81ecdae7bb3",
    "PS2.1hz_mean.tsv": "e507d7ac29f6a0db3835d826b64367b4c60747318bfb6b53716e793683625ca3",
    "PS3.1hz_mean.tsv": "c805b58bfa585e0fc6e63a633dd10d1ed3285024bbd5fb2795f5c3f67f253b45",
    "PS4.1hz_mean.tsv": "907116d65ffdab0ad8ebbf8e3088b62d9fd9b7d3f63ca5a9814d3516fc7c9f33",
    "PS5.1hz_mean.tsv": "ea49d99f3a5b3e17a976c6710daffd60b09409bfe5e73e3ed2b20ba0ff9a7df9",
    "PS6.1hz_mean.tsv": "e5e7e8bef309a3a0d8714ed1d199f5e78d0bea9e8f62f35ebe2eeec3dbdaea74",
    "EPS1.1hz_mean.tsv": "9f1a1b5374716f168514c429d4aaed84075f2884b2f8ffb5aa828f6043d55786",
}


def fetch_hydraulic(work: Path, out: Path) -> None:
    """Unpack the sensor files and the profile into `out`.

    From the official archive, or, where only these are in the datasets folder, from a part of it and an archive of the
    100 Hz sensors' 1 Hz means. Downloads are kept in `work`.
    """
    part, means = local_copy(OFFICIAL_PART), local_copy(MEANS)
    if local_copy(OFFICIAL) is None and part is not None and means is not None:
        unpack(part, PART_DIGESTS, out)
        unpack(means, MEANS_DIGESTS, out)
    else:
        unpack(obtain(OFFICIAL, work), PART_DIGESTS | RAW_DIGESTS, out)


def adapt_hydraulic(contract: Twin, raw: Path) -> pd.DataFrame:
    """Convert to canonical rows, one per second; a run is one cycle, `time` its second 0...59, `run` its number from 1.

    The asset is one of the 144 combinations of the four components' states, `block-001`... in order of first
    appearance: the rig was swept, so neighbouring cycles of one combination are near copies, and splitting them would
    leak. `subset` is "stable" or, for a cycle whose static conditions might not have been reached yet, "unstable".
    SourceError where a file is not as UCI describes.
    """
    profile = _read(raw / "profile.txt", len(STATES) + 1)
    states, flags = profile[:, :-1], profile[:, -1]  # (cycles, 4), (cycles,)
    cycles = len(profile)
    blocks = pd.factorize(pd.Series(list(map(tuple, states))))[0]
    frame = pd.DataFrame({"asset": [f"block-{block + 1:03d}" for block in blocks], "run": np.arange(cycles) + 1})
    frame["subset"] = _subsets(flags, raw / "profile.txt")
    for axis, values in zip(STATES, states.T, strict=True):
        frame[fault_column(axis)] = _classes(contract, axis, values, raw / "profile.txt")
    frame = frame.loc[np.repeat(np.arange(cycles), CYCLE)].reset_index(drop=True)
    frame["time"] = np.tile(np.arange(CYCLE, dtype=np.float64), cycles)
    for sensor in SENSORS:
        frame[sensor.lower()] = _per_second(raw, sensor, cycles).ravel()
    return canonical(frame.sort_values(["asset", "run", "time"], kind="stable"), contract)


def _classes(contract: Twin, axis: str, values: NDArray[np.float64], path: Path) -> NDArray[np.int8]:
    """Map the profile's values to classes of one axis, (cycles,) int8; -1 where the contract has no such axis."""
    if axis not in contract.axes:
        return np.full(len(values), FAULT_UNKNOWN, dtype=np.int8)
    states, classes = STATES[axis], contract.classes(axis)
    foreign = set(states.values()) ^ set(classes)
    if foreign:
        raise ContractError(f"{contract.name}: faults.{axis}.classes: must be {', '.join(states.values())}")
    _refuse_others(values, states, f"state of the {axis}", path)
    return np.array([classes.index(states[int(value)]) for value in values], dtype=np.int8)


def _subsets(flags: NDArray[np.float64], path: Path) -> list[str]:
    """Map each cycle's flag to its subset."""
    _refuse_others(flags, SUBSETS, "stable flag", path)
    return [SUBSETS[int(flag)] for flag in flags]


def _refuse_others(values: NDArray[np.float64], known: Iterable[int], what: str, path: Path) -> None:
    unknown = ~np.isin(values, list(known))
    if unknown.any():
        line = int(unknown.argmax()) + 1
        raise SourceError(f"{path}: line {line}: {values[line - 1]:g} is no {what}; fetch the file again")


def _per_second(raw: Path, sensor: str, cycles: int) -> NDArray[np.float64]:
    """Average the samples of each second, (cycles, 60), in the sensor's unit."""
    path = raw / f"{sensor}.1hz_mean.tsv"
    if sensor not in SENSORS_100_HZ or not path.exists():
        path = raw / f"{sensor}.txt"
    rate = 1 if path.suffix == ".tsv" else {"PS": 100, "EP": 100, "FS": 10}.get(sensor[:2], 1)  # Hz
    samples = _read(path, rate * CYCLE)
    if len(samples) != cycles:
        raise SourceError(f"{path}: has {len(samples)} cycles, profile.txt {cycles}; fetch the files again")
    means: NDArray[np.float64] = samples.reshape(cycles, CYCLE, rate).mean(axis=2)
    return means


def _read(path: Path, columns: int) -> NDArray[np.float64]:
    """Read tab-separated numbers without a header, (cycles, columns)."""
    try:
        values = pd.read_csv(path, sep="\t", header=None, dtype=np.float64).to_numpy()
    except FileNotFoundError:
        raise SourceError(f"{path}: not found; run the fetch stage first") from None
    except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
        raise SourceError(f"{path}: not a table of numbers: {str(error).strip()}; fetch the file again") from None
    if values.shape[1] != columns:
        raise SourceError(f"{path}: has {values.shape[1]} columns instead of {columns}; fetch the file again")
    gaps = ~np.isfinite(values).all(axis=1)
    if gaps.any():
        raise SourceError(f"{path}: line {int(gaps.argmax()) + 1}: a value is missing; fetch the file again")
    return values
