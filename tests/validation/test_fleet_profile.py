"""A profile merged from pieces is that of the whole table."""

import pandas as pd
import pytest

from foretwin.dataset.pieces import RowPieces
from foretwin.validation.fleet_profile import Profile
from foretwin.validation.label_hints import label_hints
from support.small_pump import STRICT, broken_rows, rows_of, twin_of

# Of a run that is parted by rows of another one, a piece sees its own rows alone.
WITHIN_A_PIECE = {"rul_out_of_step", "repeated"}


def cut(rows: pd.DataFrame, size: int) -> RowPieces:
    return RowPieces(len(rows), lambda: (rows.iloc[at : at + size] for at in range(0, len(rows), size)), least=size)


@pytest.mark.parametrize("size", [1, 7, 40])
@pytest.mark.parametrize("broken", [True, False])
def test_pieces_have_the_profile_of_the_whole(broken, size):
    twin = twin_of(**STRICT) if broken else twin_of()
    rows = (broken_rows() if broken else rows_of(twin)).reset_index(drop=True)
    whole, merged = Profile.of(rows, twin), Profile.of(cut(rows, size), twin)
    assert len(list(cut(rows, size))) > 1
    kept = [name for name in whole.behind if name not in WITHIN_A_PIECE or not broken]
    assert {name: merged.behind[name] for name in kept} == {name: whole.behind[name] for name in kept}
    assert any(one.count for one in whole.behind.values())
    pd.testing.assert_frame_equal(merged.fleet, whole.fleet)
    columns = [name for name in whole.runs if name not in WITHIN_A_PIECE or not broken]
    pd.testing.assert_frame_equal(merged.runs[columns], whole.runs[columns])


def test_hints_on_labels_are_those_of_the_whole():
    rows = rows_of(twin_of())
    assert label_hints(cut(rows, 15), twin_of()) == label_hints(rows, twin_of())
    assert label_hints(rows, twin_of())  # all lives are equally long
