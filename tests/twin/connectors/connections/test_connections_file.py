"""connections.yaml is checked like a contract: file, line and field of what is wrong, and what to do."""

import re
from pathlib import Path

import pytest

from foretwin.errors import ConnectionsError
from support.plant_connections import tagged_twin, written_connections

TWIN = tagged_twin("flow", "speed")
GOOD = """hall:
  url: mqtt://127.0.0.1:1883
  twin: pump
  tags:
    - {at: "plant/{asset}/flow", channel: flow, unit: degF}
    - {at: plant/P-2/n, asset: P-2, channel: speed}
"""


def test_a_file_has_connections_by_their_names(tmp_path):
    (peer,) = written_connections(tmp_path, GOOD, TWIN)
    assert (peer.name, peer.scheme, peer.root) == ("hall", "mqtt", tmp_path)
    assert [tag.channel for tag in peer.settings.tags] == ["flow", "speed"]


def test_a_project_without_the_file_has_none(tmp_path):
    from foretwin.twin.connectors.connections.connections_file import load_connections

    assert load_connections(tmp_path / "connections.yaml", {}) == []


@pytest.mark.parametrize(
    ("before", "after", "line", "told"),
    [
        ("unit: degF", "unitt: degF", 5, "hall.tags.0.unitt: unknown field, perhaps a typo"),
        ("unit: degF", "unit: bar", 5, "hall.tags.0.unit: bar is no measure of what degC measures"),
        ("unit: degF", "unit: fluxes", 5, "hall.tags.0.unit: fluxes is no unit that is known"),
        ("channel: flow", "channel: flaw", 5, "hall.tags.0.channel: flaw is no channel of pump; there is flow, speed"),
        ("{asset}/flow", "{asset}x/flow", 5, "hall.tags.0.at: {asset}x is part of a level"),
        ("channel: flow", "channel: flow, asset: P-1", 5, "hall.tags.0: asset: is there, and {asset} in `at` too"),
        (", asset: P-2", "", 6, "hall.tags.1: asset: is missing; name it, or write {asset} into `at`"),
        ("asset: P-2", "asset: P/2", 6, "hall.tags.1.asset: P/2 is no name of a machine"),
        ("plant/P-2/n", '"plant/{asset}/flow"', 6, "hall.tags.1"),
        ("asset: P-2", "asset: P-2, scale: 0", 6, "scale: is 0"),
        ("asset: P-2", "asset: P-2, value: v.x", 6, "v.x is no path; write one such as $.value"),
        ("twin: pump", "twin: fan", 3, "hall.twin: fan has no contract here; there is pump"),
        ("  twin: pump\n", "", 1, "hall: twin: is missing"),
        ("mqtt://127", "mqtt://me:secret@127", 1, "hall: url: holds a password; leave it out"),
        ("mqtt://127", "gopher://127", 1, "hall: url: is none that can be listened to"),
        ("hall:", "Hall 3:", 1, "should match pattern"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, before, after, line, told):
    assert before in GOOD
    with pytest.raises(ConnectionsError) as error:
        written_connections(tmp_path, GOOD.replace(before, after), TWIN)
    place, text = str(error.value).split(": ", 1)
    assert Path(place.rpartition(":")[0]) == tmp_path / "connections.yaml"
    assert int(place.rpartition(":")[2]) == line
    assert told in text
    assert "secret" not in text


def test_two_tags_at_one_address_are_refused(tmp_path):
    twice = GOOD.replace("at: plant/P-2/n", 'at: "plant/{asset}/flow"').replace("asset: P-2, ", "")
    with pytest.raises(ConnectionsError, match=r":6: hall.tags.1.at: plant/\{asset\}/flow stands twice; keep one"):
        written_connections(tmp_path, twice, TWIN)


def test_a_password_comes_from_the_environment_alone(tmp_path):
    (peer,) = written_connections(tmp_path, GOOD + "  user: me\n  password_from: HALL_WORD\n", TWIN)
    assert peer.password({"HALL_WORD": "s3cret"}) == "s3cret"
    assert not re.search("s3cret", repr(peer))
    with pytest.raises(ConnectionsError, match="hall: password_from: HALL_WORD is not set; set it in the environment"):
        peer.password({})
