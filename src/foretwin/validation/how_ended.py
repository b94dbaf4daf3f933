"""How the lives of a table ended, for a person."""

from collections import Counter

import pandas as pd

from foretwin.contract.source.side_checks import ENDED
from foretwin.contract.twin import Twin
from foretwin.dataset.pieces import RowPieces
from foretwin.dataset.table import ENDS, FAILED_ENDS, RUN


def how_lives_ended(rows: pd.DataFrame | RowPieces, contract: Twin) -> list[str]:
    """Return a sentence that counts the lives by how they ended, where the contract's source tells it; else none."""
    if not contract.tells_ends:
        return []
    counts = Counter[str]()
    for piece in RowPieces.of(rows) if isinstance(rows, pd.DataFrame) else rows:
        counts.update(piece.drop_duplicates(RUN)[ENDED])
    told = ", ".join(f"{counts[how]} {how}" for how in ENDS if counts[how])
    known = sum(counts[how] for how in FAILED_ENDS)
    return [f"lives: of {counts.total()} that ended or go on {told}; the remaining life is known of {known}"]
