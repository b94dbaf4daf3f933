"""What a tag says, in the contract's unit: lines of units, enumerations, values that are none, templates of names."""

import pytest

from foretwin.twin.connectors.connections.addresses import AddressTemplate
from foretwin.twin.connectors.connections.json_paths import follow_json_path, parse_json_path
from foretwin.twin.connectors.connections.mapping import CollectedValues, TagMap
from foretwin.twin.connectors.connections.unit_lines import unit_line
from support.plant_connections import tagged_twin, written_connections

TWIN = tagged_twin("flow", "speed")
NOON = 1_795_000_000_000_000  # microseconds since 1970


@pytest.mark.parametrize(
    ("source", "target", "value", "expected"),
    [
        ("degF", "degC", 212, 100),
        ("K", "degC", 273.15, 0),
        ("l/min", "m3/h", 100, 6),
        ("psi", "bar", 14.5037738, 1),
        ("psia", "kPa", 1, 6.894757),
        ("1/min", "Hz", 60, 1),
        ("mm/s", "m/s", 1, 0.001),
        ("anything at all", "anything at all", 7, 7),
    ],
)
def test_units_are_converted_on_a_line(source, target, value, expected):
    factor, shift = unit_line(source, target)
    assert factor * value + shift == pytest.approx(expected, abs=1e-6)


def test_a_tag_is_scaled_before_its_unit_is_converted(tmp_path):
    tag = "{at: a, asset: P-1, channel: flow, scale: 0.1, offset: 2, unit: degF, bad: [-9999, n/a]}"
    (peer,) = written_connections(tmp_path, f"x: {{url: mqtt://h, twin: pump, tags: [{tag}]}}", TWIN)
    found = TagMap(peer, TWIN).find("a")
    assert (found.asset, found.channel) == ("P-1", "flow")
    assert found.cell(2100) == pytest.approx(100)  # 2100 * 0.1 + 2 = 212 degF
    assert found.cell("2100") == pytest.approx(100)
    assert found.cell(-9999) is None
    assert found.cell("n/a") is None
    assert found.cell("full") == "full"  # which is refused as no number


def test_enumerations_and_truth_values_become_numbers(tmp_path):
    tag = "{at: a, asset: P-1, channel: flow, words: {running: 1, '2': 0.5, 'true': 7}}"
    (peer,) = written_connections(tmp_path, f"x: {{url: mqtt://h, twin: pump, tags: [{tag}]}}", TWIN)
    found = TagMap(peer, TWIN).find("a")
    assert [found.cell(raw) for raw in ("running", 2, True)] == [1, 0.5, 7]
    assert found.cell("broken") == "broken"


def test_words_in_braces_name_machine_and_channel_and_names_are_changed(tmp_path):
    text = 'x: {url: mqtt://h, twin: pump, assets: {P1: P-001}, tags: [{at: "f/{site}/{asset}/{channel}"}]}'
    (peer,) = written_connections(tmp_path, text, TWIN)
    tags = TagMap(peer, TWIN)
    found = tags.find("f/berlin/P1/flow")
    assert (found.asset, found.channel) == ("P-001", "flow")
    assert tags.find("f/berlin/P2/speed").asset == "P2"
    assert tags.find("f/berlin/P1/colour") is None
    assert tags.find("f/berlin/hall/P1/flow") is None


def test_a_word_that_stands_twice_is_the_same_in_both_places():
    template = AddressTemplate("a/{asset}/b/{asset}.x")
    assert template.match("a/P-1/b/P-1.x") == {"asset": "P-1"}
    assert template.match("a/P-1/b/P-2.x") is None
    assert template.match("a/P-1/b/P-1yx") is None


@pytest.mark.parametrize(("path", "found"), [("$", {"v": [{"a b": 3}]}), ("$.v[0]['a b']", 3), ("$.v[0]", {"a b": 3})])
def test_paths_into_json(path, found):
    assert follow_json_path({"v": [{"a b": 3}]}, parse_json_path(path)) == found


@pytest.mark.parametrize("path", ["v", "$v", "$.", "$.v[", "$.v[-1]", "$.v[x]", ""])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match="is no path; write one such as"):
        parse_json_path(path)


def test_a_path_that_leads_nowhere_names_its_step():
    for path in ("$.w", "$.v[7]", "$.v.x"):
        with pytest.raises(KeyError):
            follow_json_path({"v": [1]}, parse_json_path(path))


def test_collected_values_are_decoded_refused_and_counted(tmp_path):
    tags = "[{at: a, asset: P-1, channel: flow, bad: [-1]}, {at: b, asset: P-2, channel: speed}]"
    (peer,) = written_connections(tmp_path, f"x: {{url: mqtt://h, twin: pump, tags: {tags}}}", TWIN)
    tags, values = TagMap(peer, TWIN), CollectedValues(TWIN)
    for address, raw in (("a", 1.5), ("b", 2), ("a", -1), ("b", "broken"), ("b", float("nan"))):
        values.add(tags.find(address), NOON, raw)
    decoded = values.decode()
    assert decoded.values.value.tolist() == [1.5, 2]
    assert decoded.values.time.tolist() == [NOON, NOON]
    assert [decoded.values.names[i] for i in decoded.values.asset] == ["P-1", "P-2"]
    assert [(one.asset, one.field, one.reason) for one in decoded.rejected] == [("P-2", "value", "type")]
    assert decoded.missing == 2
