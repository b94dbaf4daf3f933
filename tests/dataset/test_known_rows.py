"""What was known of runs at their cuts holds the beginning that a machine's own baseline is learnt from."""

import numpy as np
import pytest

from foretwin.contract.twin import Twin
from foretwin.dataset.departures import Departures, is_copy
from foretwin.dataset.known_rows import BEGINNINGS, most_rows, truncate_known
from foretwin.dataset.windows import truncate
from support.differing_fleet import LENGTH, differing_rows, differing_twin

TWIN, PLAIN = differing_twin(1), differing_twin(0)
EARLY = BEGINNINGS * LENGTH


@pytest.fixture(scope="module")
def rows():
    recorded = differing_rows(TWIN, 2, 9)
    return Departures.of([recorded], TWIN, 1).added_to(recorded)


def cut(rows, end, twin=TWIN):
    found = truncate_known(rows, np.array([end]), twin, before=7)
    assert set(found["asset"]) == {f"{rows['asset'].iat[end]}@{end + 7}"}
    return found


def test_a_cut_is_the_beginning_of_its_run_and_its_window_and_a_plain_twin_s_is_the_window_alone(rows):
    late, early = cut(rows, 79), cut(rows, 30)
    assert late["time"].tolist() == [*range(1, EARLY + 1), *range(81 - LENGTH, 81)]
    assert len(late) == most_rows(TWIN)
    assert early["time"].tolist() == list(range(1, 32)), "a young run is whole"
    ends = np.array([3, 30, 79])
    assert truncate_known(rows, ends, PLAIN).equals(truncate(rows, ends, LENGTH))
    assert truncate_known(rows, ends[:0], TWIN).empty


def test_a_copy_has_the_life_of_its_run_before_it(rows):
    name = next(one for one in rows["asset"].unique() if is_copy(one))
    copy = rows[rows["asset"] == name]
    begun = copy["time"].iat[0]
    found = cut(rows, copy.index[-1])
    assert found["time"].is_monotonic_increasing
    assert found["time"].is_unique
    own, before = found[found["time"] >= begun], found[found["time"] < begun]
    recorded = rows[(rows["asset"] == name.partition("~")[0]) & (rows["time"] <= before["time"].max())]
    np.testing.assert_array_equal(before[["time", "heat", "flow"]], recorded[["time", "heat", "flow"]])
    np.testing.assert_array_equal(own[["time", "flow"]], copy[copy["time"].isin(own["time"])][["time", "flow"]])
    assert own["fault_health"].iat[-1] == 1


def test_of_windows_that_count_time_the_beginning_is_so_much_time(rows):
    content = TWIN.model_dump()
    content["channels"]["flow"] |= {"may_be_missing": True}
    timed = Twin.model_validate(content)
    assert timed.slot == 1
    sparse = rows[rows["time"] % 2 == 0].reset_index(drop=True)
    found = cut(sparse, 39, timed)["time"]
    assert found[found < 2 + EARLY].tolist() == list(range(2, 2 + EARLY, 2))
    assert found[found >= 2 + EARLY].tolist() == list(range(82 - 2 * LENGTH, 81, 2))
