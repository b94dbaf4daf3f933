"""Single values by POST: how many wait, what became a reading, and what was refused."""

from datetime import UTC, datetime, timedelta

import pytest

from support.live_project import PUMP, assert_problem, live_sqlite

TWO_HOURS_AGO = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)


@pytest.mark.dated
def test_values_wait_until_their_step_is_whole_and_the_answer_says_so(tmp_path):
    path, times = "/v1/twins/P-1/readings?twin=pump", [TWO_HOURS_AGO + timedelta(hours=hour) for hour in range(2)]
    with live_sqlite(tmp_path) as client:
        sent = [(time.isoformat(), channel) for time in times for channel in PUMP.channel_names]
        told = [client.post(path, json={"time": t, "channel": c, "value": 1}).json() for t, c in sent]
        assert [one["waiting"] for one in told] == [1] * 6
        assert [one["stored"] for one in told] == [0, 0, 0, 1, 0, 1], "the first waits for what could be before it"
        last = (times[1] + timedelta(minutes=30)).isoformat()
        told = client.post(path, json={"time": [last] * 2, "channel": ["c1", "c2"], "value": [1, "x"]}).json()
        assert (told["waiting"], told["quarantined"]) == (1, 1)
        assert told["rejected"][0]["field"] == "value"
        wrong = client.post(path, json={"time": last, "channel": "nothing", "value": 1})
        assert_problem(wrong, 422, "channel", "which is no channel")
        uneven = client.post(path, json={"time": [last] * 2, "channel": "speed", "value": 1})
        assert_problem(uneven, 422, "channel", "has 1 values, but time has 2")
