from foretwin.project.loops import Backoff


def test_waits_double_from_the_shortest_up_to_the_longest():
    assert [Backoff(0.5, 3).wait(failures) for failures in range(1, 6)] == [0.5, 1, 2, 3, 3]


def test_the_factor_is_how_much_longer_each_wait_is():
    assert [Backoff(15, 3600, factor=3).wait(failures) for failures in (1, 2, 3, 10)] == [15, 45, 135, 3600]


def test_jitter_shortens_waits_by_at_most_its_share():
    waits = [Backoff(10, 15, jitter=0.5).wait(2) for _ in range(200)]

    assert all(7.5 <= wait <= 15 for wait in waits)
    assert max(waits) > 1.5 * min(waits)


def test_any_number_of_failures_stays_at_the_longest():
    assert Backoff(0.5, 30).wait(100_000) == 30
