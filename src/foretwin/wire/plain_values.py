"""Single values as most devices send them, numbers at moments since 1970 and none of bad quality: read as columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.wire.asset_names import is_name
from foretwin.wire.readings import SingleValues
from foretwin.wire.values import LARGEST, NUMBERS

TEXTS = {str}
SINCE_1970 = 9e8  # numbers from here on are moments
SIZES = ((1e11, 10**6), (1e14, 10**3), (1e17, 1))  # a moment below is in s, ms or us: so many microseconds; else in ns


def decode_plain(
    contract: Twin, asset: str | Sequence[Any], fields: Mapping[str, Sequence[Any]]
) -> SingleValues | None:
    """Return N values; None where any is of another kind, or wrong, and each must be looked at on its own.

    The arguments are those of `ValueColumns`, which decides alike.
    """
    times, channels, values = fields["time"], fields["channel"], fields["value"]
    assets = [asset] * len(times) if isinstance(asset, str) else asset
    is_plain = TEXTS.issuperset(map(type, assets)) and TEXTS.issuperset(map(type, channels))
    is_plain = is_plain and NUMBERS.issuperset(map(type, times)) and NUMBERS.issuperset(map(type, values))
    if not is_plain or len(times) == 0 or any(one is not None for one in fields.get("quality", ())):
        return None
    names, used = dict.fromkeys(assets), set(channels)
    of_numbers = {name for name in used if name in contract.channels and contract.channels[name].categories is None}
    if used != of_numbers or not all(map(is_name, names)):
        return None
    try:
        time, value = np.fromiter(times, np.float64), np.fromiter(values, np.float64)
    except OverflowError:  # an integer beyond the largest double
        return None
    moments = _moments(time) if contract.clock.seconds is not None else None
    if moments is None or not (np.abs(value) <= LARGEST).all():
        return None
    owner = {name: number for number, name in enumerate(names)}
    place = {name: number for number, name in enumerate(contract.channel_names)}
    return SingleValues(
        contract.name,
        contract.channel_names,
        np.fromiter(map(owner.__getitem__, assets), np.int64),
        moments,
        np.ones(len(time), bool),
        np.fromiter(map(place.__getitem__, channels), np.int64),
        value,
        tuple(names),
    )


def _moments(time: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return times (N,) in us since 1970; None where not all are moments in s, ms or us."""
    if not (time.min() >= SINCE_1970 and time.max() < SIZES[-1][0]):
        return None
    size = np.select([time < limit for limit, _ in SIZES], [float(each) for _, each in SIZES])
    moments: NDArray[np.float64] = np.rint(time * size)
    return moments
