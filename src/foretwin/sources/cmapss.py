"""Source cmapss: NASA's C-MAPSS turbofans, run-to-failure histories of simulated engines, one row per flight.

Channel names, meanings and units follow A. Saxena, K. Goebel, D. Simon, N. Eklund, "Damage Propagation
Modeling for Aircraft Engine Run-to-Failure Simulation", PHM08, 2008, table 2.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.table import canonical, time_to_end
from foretwin.errors import DigestError, SourceError
from foretwin.sources.download import Archive, obtain, unpack

CHANNELS = (
    *("altitude", "mach", "tra"),
    *("t2", "t24", "t30", "t50", "p2", "p15", "p30", "nf", "nc", "epr", "ps30"),
    *("phi", "nrf", "nrc", "bpr", "farb", "htbleed", "nf_dmd", "pcnfr_dmd", "w31", "w32"),
)

ARCHIVE = Archive(
    name="CMAPSSData.zip",
    folder="cmapss",
    size=12425978,
    sha256="74bef434a34db25c7bf72e668ea4cd52afe5f2cf8e44367c55a82bfd91a5a34f",
    url="https://data.nasa.gov/docs/legacy/CMAPSSData.zip",
    repacked=True,
)
OUTER_ARCHIVE = Archive(
    name="6. Turbofan Engine Degradation Simulation Data Set.zip",
    folder="cmapss",
    size=12429152,
    sha256="c9c5dec12a945a82e8bb4446589d7fb3cc057b5e5d81fa1a12e25ee9912ad3b2",
    url="https://phm-datasets.s3.amazonaws.com/NASA/6.+Turbofan+Engine+Degradation+Simulation+Data+Set.zip",
)
ARCHIVES = (ARCHIVE, OUTER_ARCHIVE)

DIGESTS = {
    "RUL_FD001.txt": "a19c8ec94931949d0485bdc35118206e9c81c4547b422efb9cf86f4ceddbceca",
    "RUL_FD002.txt": "c851dd96a6ea6998d3c4a8f834d3c8013aa90e93a6ed950dc826ad0655b2906b",
    "RUL_FD003.txt": "df1e0566306b174a2de41c67a3e7a51877889598b78643fc3e5685259091b7cb",
    "RUL_FD004.txt": "196b836b85a95ac7fdbbf29c5fdf1657382eafa445644d114ffaaf50dc2975e1",
    "test_FD001.txt": "3cda7109ce17bafb5443f2ac926cfcf88154b941b8c4cf95eb55d1ddd6f52851",
    "test_FD002.txt": "de7b5bf7e998a985c378488480528b7c02cff1406a46740def362dda8d9b4e02",
    "test_FD003.txt": "299babd63c8d987cef079c4a425429f33b3a34797d803bbe2ad48c29dbd0d790",
    "test_FD004.txt": "1dc675fff0624bac10786927c6715b37d1297657137400d2b1a3138d777a3ba5",
    "train_FD001.txt": "963b5e22825b34d8b21c69e1aeb4af3e647050eb672ee8834ba4b5d91d2de0f8",
    "train_FD002.txt": "dac6c4dbc4e7c1bdeb5747da3d313d05c395bb99801b44a002b26a2ba13d788f",
    "train_FD003.txt": "2abbe9968cc5e8eb091980f51b20f62bb4127336d3482cb52071d53bf23329e2",
    "train_FD004.txt": "27ef6160b6a1dcb2613a88de9c239f763b223f02cdc41dc5cdedc5dc189b6218",
}


def fetch_cmapss(subset: str, work: Path, out: Path) -> None:
    """Unpack the three files of one subset (FD001 to FD004) into `out`; downloads are kept in `work`."""
    wanted = (f"train_{subset}.txt", f"test_{subset}.txt", f"RUL_{subset}.txt")
    unpack(_archive(work), {name: DIGESTS[name] for name in wanted}, out)


def _archive(work: Path) -> Path:
    """Obtain the archive by itself, or inside another one from a second host, since each host is down at times."""
    try:
        return obtain(ARCHIVE, work)
    except DigestError:
        raise
    except SourceError as first:
        try:
            outer = obtain(OUTER_ARCHIVE, work)
        except SourceError as second:
            raise type(second)(f"{first}; then {second}") from None
        unpack(outer, {ARCHIVE.name: ARCHIVE.sha256}, work)
        return work / ARCHIVE.name


def adapt_cmapss(contract: Twin, subset: str, raw: Path) -> pd.DataFrame:
    """Convert to canonical rows of engines `train-001`... and `test-001`...; `time` is the flight number, from 1.

    `rul` (cycles) counts down to the last flight of a training engine, and to the failure that the RUL file
    places after the last flight of a test engine. SourceError where a file is not as NASA describes.
    """
    train = _read_engines(raw / f"train_{subset}.txt", "train")
    test = _read_engines(raw / f"test_{subset}.txt", "test")
    left = _read_left(raw / f"RUL_{subset}.txt", test["unit"].max())
    train = train.assign(rul=time_to_end(train), fixed_split="")
    test = test.assign(rul=time_to_end(test) + left[test["unit"].to_numpy() - 1], fixed_split="test")
    return canonical(pd.concat([train, test], ignore_index=True), contract)


def _read_engines(path: Path, part: str) -> pd.DataFrame:
    """Read columns unit, asset, run, time (cycle) and one per channel, in physical units, in the file's order."""
    frame = _read(path, ["unit", "time", *CHANNELS])
    units = frame["unit"].to_numpy()
    if (np.diff(np.unique(units)) != 1).any() or units.min() != 1 or (units % 1).any():
        raise SourceError(f"{path}: column 1 must number the engines from 1 without gaps; fetch the file again")
    frame["unit"] = units.astype(np.int64)
    names = frame["unit"].map(lambda unit: f"{part}-{unit:03d}")
    return frame.assign(asset=names, run=1)


def _read_left(path: Path, engines: int) -> NDArray[np.float64]:
    """Read the cycles (engines,) between the last row of each test engine and its failure."""
    left = _read(path, ["left"])["left"].to_numpy(np.float64)
    if len(left) != engines:
        raise SourceError(f"{path}: has {len(left)} lines for {engines} test engines; fetch the file again")
    return left


def _read(path: Path, names: list[str]) -> pd.DataFrame:
    """Read numbers separated by white space, without header; trailing spaces of a row are not a column."""
    try:
        frame = pd.read_csv(path, sep=r"\s+", header=None)
    except FileNotFoundError:
        raise SourceError(f"{path}: not found; run the fetch stage first") from None
    except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
        raise SourceError(f"{path}: not a table of numbers: {str(error).strip()}; fetch the file again") from None
    if frame.shape[1] != len(names):
        raise SourceError(f"{path}: has {frame.shape[1]} columns instead of {len(names)}; fetch the file again")
    frame.columns = pd.Index(names)
    for name in names:
        numbers = pd.to_numeric(frame[name], errors="coerce")
        if numbers.isna().any():
            line = int(numbers.isna().to_numpy().argmax()) + 1
            raise SourceError(f"{path}: line {line}: {name} is not a number; fetch the file again")
        frame[name] = numbers
    return frame
