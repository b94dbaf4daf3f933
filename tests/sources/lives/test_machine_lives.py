"""Which life of a machine a row is of, whatever file it comes in."""

from datetime import datetime

import numpy as np
import pytest

from foretwin.sources.lives.machine_lives import LifeClock, MachineLife, known_ends, place

HOURS = LifeClock(is_calendar=False, step=1, unit=1)
CALENDAR = LifeClock(is_calendar=True, step=1, unit=3.6e9)


def placed(clock, positions, failures=(), labels=None, known=(), first_run=1):
    position = np.array(positions, float)
    failed = np.isin(np.arange(len(position)), failures)
    found = place((position, failed, None if labels is None else np.array(labels, object)), clock, known, first_run)
    return list(zip(found.run.tolist(), found.time.tolist(), strict=True)), found.lives


def test_an_age_is_kept_and_a_moment_counted_from_the_first_row():
    assert placed(HOURS, [5, 6])[0] == [(1, 5), (1, 6)]
    assert placed(HOURS, [1.7e9, 1.7e9 + 2])[0] == [(1, 0), (1, 2)]
    assert placed(CALENDAR, [7.2e9, 1.08e10])[0] == [(1, 0), (1, 1)]


def test_a_failure_ends_a_life_and_the_next_begins_at_0():
    rows, lives = placed(HOURS, [0, 1, 2, 3, 4], failures=[2])
    assert rows == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]
    assert lives == (MachineLife(1, 0, 2, ended=2), MachineLife(2, 3, 4))
    assert placed(HOURS, [0, 1, 2, 0, 1], failures=[2])[0] == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]


@pytest.mark.parametrize("second", [[3, 4, 5, 6], [0, 1, 2, 3]])
@pytest.mark.parametrize("cut", range(1, 7))
def test_what_comes_again_is_of_the_life_it_was_of(second, cut):
    positions, failures = [0, 1, 2, *second], [2, 6]
    whole, lives = placed(HOURS, positions, failures)
    first, known = placed(HOURS, positions[:cut], [i for i in failures if i < cut])
    rest, after = placed(HOURS, positions[cut:], [i - cut for i in failures if i >= cut], known=known)
    assert first + rest == whole
    assert {life.run: life for life in (*known, *after)} == {life.run: life for life in lives}
    again, _ = placed(HOURS, positions, failures, known=lives)
    assert again == whole


def test_names_of_runs_are_numbered_as_they_come_and_remembered():
    rows, lives = placed(CALENDAR, [0, 3.6e9, 7.2e9], labels=["new", "new", "rebuilt"])
    assert rows == [(1, 0), (1, 1), (2, 0)]
    rows, _ = placed(CALENDAR, [1.08e10, 1.44e10], labels=["rebuilt", "7"], known=lives)
    assert rows == [(2, 1), (7, 0)]
    assert placed(HOURS, [9, 0], labels=["3.0", "4"])[0] == [(3, 9), (4, 0)], "a clock that falls restarts"


@pytest.mark.parametrize("odd", ["2099-01-01", "1970-01-01"])
def test_a_wrong_first_clock_is_not_where_a_life_begins(odd):
    right = [(1.7e9 + 3600 * hour) * 1e6 for hour in range(12)]
    clock = LifeClock(is_calendar=True, step=1, unit=3.6e9, longest=1000)
    wrong = datetime.fromisoformat(odd + "T00:00+00:00").timestamp() * 1e6
    rows, _ = placed(clock, [wrong, *right])
    assert rows[1:] == [(1, hour) for hour in range(12)]
    assert rows[0][1] < 0 or rows[0][1] > 1000
    assert placed(clock, [wrong, *right[:5]])[0][0] == (1, 0), "few do not tell"


def test_an_order_that_began_another_life_ended_the_one_before():
    known = known_ends([MachineLife(1, 0, 3.6e9)], 3)
    assert placed(CALENDAR, [3.6e9, 7.2e9, 1.08e10], known=known, first_run=3)[0] == [(1, 1), (3, 0), (3, 1)]
    assert known_ends([MachineLife(3, 0, 9)], 3) == [MachineLife(3, 0, 9)]
