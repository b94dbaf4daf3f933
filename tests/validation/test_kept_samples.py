"""Samples of a table that is read in pieces: what is kept of a piece holds nothing else of it in memory."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.dataset.table import canonical
from foretwin.validation import fleet_profile, label_hints
from support.tiny_bundle import tiny_twin

STEP, ROWS = 50, 5000


def held(frame: pd.DataFrame) -> int:
    """Bytes of the arrays that a table keeps alive, whole ones of which it shows a part included."""

    def whole(values: NDArray[np.generic]) -> NDArray[np.generic]:
        while isinstance(values.base, np.ndarray):
            values = values.base
        return values

    arrays = [whole(frame[name].to_numpy()) for name in frame if frame[name].dtype.kind in "if"]
    return sum({id(array): array.nbytes for array in arrays}.values())


def test_a_sample_of_a_piece_holds_the_sample_alone():
    twin = tiny_twin()
    hours = np.arange(float(ROWS))
    channels = dict.fromkeys(twin.channel_names, hours % 7)
    piece = canonical(pd.DataFrame({"asset": "a", "run": 1, "time": hours, "rul": hours[::-1], **channels}), twin)
    hints = label_hints.LabelHints(twin, STEP * label_hints.MOST_ROWS)
    hints.see(piece, 0)
    profile = fleet_profile._Channels(twin, STEP)
    profile.see(piece, 0)
    for kept in (*hints._lives, *profile._sample):
        assert len(kept) == ROWS // STEP
        assert held(kept) <= 8 * len(kept) * len(kept.columns)
