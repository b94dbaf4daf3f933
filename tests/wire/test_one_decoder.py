"""The scoring service and ingestion decode one content alike, each in its own envelope.

Hypothesis makes names, times, cells and units, most of them right; both doors then read the same numbers, or object to
the same field for the same reason.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretwin.champion.champion import Champion, ChampionRecord
from foretwin.champion.identity import ModelIdentity
from foretwin.contract.twin import Twin
from foretwin.errors import BadInput
from foretwin.predictor.bundle import Bundle
from foretwin.predictor.inputs import ModelInputs
from foretwin.serving.scoring.calls.call import ScoreCall
from foretwin.serving.scoring.calls.json_call import decode_json
from foretwin.serving.scoring.calls.table_call import decode_table_call
from foretwin.wire.decoder import decode
from foretwin.wire.readings import Readings
from foretwin.wire.tables import ARROW, JSON, PARQUET, read_table, write_table
from support.tiny_bundle import save_tiny_bundle, tiny_twin

SMALL = tiny_twin()
EVERY = {"unit": "bar", "role": "sensor", "min": -1e308, "max": 1e308}  # what both ask of a number, not of a channel
TWIN = Twin.model_validate(SMALL.model_dump() | {"channels": dict.fromkeys(SMALL.channels, EVERY)})
ROWS = 4
MOST = 1_000_000
LARGEST_FLOAT = float(np.finfo(np.float32).max)
FIRST_TOO_LARGE = 2.0**128 - 2.0**103  # rounds to infinity

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NAMES = TEXTS | st.sampled_from(["P-1", "é 7", "", "P-1/a", "P#1", "P+1", "a\nb", "\x00", "\x85", "a" * 200, "a" * 201])
FINITE = st.floats(-1e6, 1e6) | st.integers(-(10**6), 10**6)
EDGES = st.sampled_from([0.0, -0.0, 5e-324, LARGEST_FLOAT, 3.4028235e38, -3.4028235e38, 2**24 + 1, 0.1])
BEYOND = st.sampled_from([FIRST_TOO_LARGE, -1e39, 1e308, float("nan"), float("inf"), -float("inf")])
NUMBERS = FINITE | EDGES | BEYOND
NO_NUMBERS = st.sampled_from([None, True, "1", "", [1], {"a": 1}, 10**400, -(10**30)])


Refusal = tuple[str, str]  # field, why


@dataclass(frozen=True)
class Content:
    """What both doors are given of one asset."""

    name: Any
    time: list[Any]
    channels: dict[str, list[Any]]
    units: dict[str, Any]


def contents(cells: st.SearchStrategy) -> st.SearchStrategy[Content]:
    """Right contents of which at most a few things are wrong."""
    columns = st.fixed_dictionaries(
        {name: st.lists(FINITE | EDGES, min_size=ROWS, max_size=ROWS) for name in TWIN.channels}
    )
    wrong_cell = st.tuples(st.sampled_from(["time", *TWIN.channels]), st.integers(0, ROWS - 1), cells)
    unit = st.dictionaries(st.sampled_from(["time", "c1", "c9"]), st.sampled_from(["h", "bar", "psi"]), max_size=2)

    def put(name_and_units, channels, wrong) -> Content:
        time: list[Any] = [float(i) for i in range(1, ROWS + 1)]
        for column, row, cell in wrong:
            ({"time": time} | channels)[column][row] = cell
        return Content(name_and_units[0], time, channels, name_and_units[1])

    # Not both are wrong at once: a call's units are those of all its assets, and are checked before their names.
    one_wrong = st.tuples(st.just("P-1"), unit) | st.tuples(NAMES, st.just({}))
    return st.builds(put, one_wrong, columns, st.lists(wrong_cell, max_size=2))


@pytest.fixture(scope="module")
def champion(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    save_tiny_bundle(folder, TWIN)
    return Champion(ModelIdentity("foretwin-pump", "3", "r1", "d1"), Bundle.load(folder), ChampionRecord())


def scored_json(content: Content, champion: Champion) -> ModelInputs | Refusal:
    asset = {"asset": content.name, "time": content.time, "channels": content.channels}
    body = json.dumps({"twin": "pump", "assets": [asset], "units": content.units})
    return scored(lambda: decode_json(body.encode(), lambda _: champion, MOST))


def scored(decode_call: Callable[[], ScoreCall]) -> ModelInputs | Refusal:
    """The tracks of a call, or how it is refused: its path in the call, without the asset and the row."""
    try:
        return decode_call().tracks
    except BadInput as error:
        return error.field.removeprefix("assets[0].").partition("[")[0], error.reason


def ingested_json(content: Content) -> Readings | Refusal:
    message = {"twin": "pump", "asset": content.name, "time": content.time, "channels": content.channels}
    return ingested(json.dumps(message | {"units": content.units}).encode(), JSON)


def ingested(body: bytes, kind: str) -> Readings | Refusal:
    """All readings, or field and detail of the first thing that ingestion objects to."""
    try:
        found = decode(body, kind, {"pump": TWIN}, "pump", None)
    except BadInput as error:
        return error.field, error.reason
    if found.rejected:
        return found.rejected[0].field, found.rejected[0].detail
    return found.readings


def in_units(table: pa.Table, units: dict[str, str]) -> pa.Table:
    fields = [field.with_metadata({"unit": units[field.name]} if field.name in units else {}) for field in table.schema]
    return table.cast(pa.schema(fields))


def agree(scoring: ModelInputs | Refusal, storing: Readings | Refusal) -> None:
    """Both read the same, or refuse the same; the service alone asks for the order and the step of the clock."""
    if isinstance(storing, Readings) and isinstance(scoring, ModelInputs):
        assert scoring.assets.tolist() == list(storing.names)
        np.testing.assert_array_equal(scoring.histories.time, storing.time)
        np.testing.assert_array_equal(scoring.histories.values, storing.values)
        assert np.isfinite(storing.values).all()
    elif isinstance(storing, Readings):
        assert any(why in scoring[1] for why in ("does not increase", "usually advances", "before the run began"))
    else:
        assert isinstance(scoring, tuple), storing
        assert scoring[0] == storing[0].removeprefix("channels.") or scoring[0] == storing[0]
        assert scoring[1].startswith(storing[1])


@settings(deadline=None, max_examples=200)
@given(content=contents(NUMBERS | NO_NUMBERS))
def test_one_content_in_json_is_read_or_refused_alike_by_both(champion, content):
    agree(scored_json(content, champion), ingested_json(content))


@settings(deadline=None, max_examples=100)
@given(content=contents(NUMBERS | st.none()), kind=st.sampled_from([ARROW, PARQUET]), wide=st.booleans())
def test_one_table_is_read_or_refused_alike_by_both(champion, content, kind, wide):
    columns = {
        name: pa.array(cells, pa.float64()) for name, cells in ({"time": content.time} | content.channels).items()
    }
    if not wide:
        columns |= {name: columns[name].cast(pa.float32(), safe=False) for name in TWIN.channels}
    names = pa.array([content.name] * ROWS)
    body = write_table(in_units(pa.table({"asset": names, **columns}), content.units), kind)
    call = scored(lambda: decode_table_call(read_table(body, kind, MOST, 2**30), champion))
    agree(call, ingested(body, kind))


def good(**changes) -> Content:
    return replace(Content("P-1", [1, 2], {name: [1, 2] for name in TWIN.channels}, {}), **changes)


@pytest.mark.parametrize("name", ["P-1/a", "P#1", "P+1", "a\nb", "", "a" * 201, 7, "\ud800"])
def test_a_name_that_no_topic_could_hold_is_refused_by_both(champion, name):
    refused = scored_json(good(name=name), champion)
    assert refused == ingested_json(good(name=name))
    assert refused[0] == "asset"
    assert "visible characters is needed, without /, +, #, control and format characters" in refused[1]


@pytest.mark.parametrize("name", ["P-1/a", "P#1", "a\nb", "", "a" * 201])
def test_nor_does_a_table_bring_it_in(champion, name):
    table = pa.table({"asset": ["P-1", "P-1", name], "time": [1.0, 2, 3], **{n: [1.0, 2, 3] for n in TWIN.channels}})
    field, detail = ingested(write_table(table, ARROW), ARROW)
    assert scored(lambda: decode_table_call(table, champion)) == ("asset", f"{detail} (row 3)")
    assert field == "asset"


@pytest.mark.parametrize("cell", [3.4028235e38, np.nextafter(FIRST_TOO_LARGE, 0), -LARGEST_FLOAT, 2**127])
def test_what_rounds_to_a_finite_float32_is_a_number_for_both(champion, cell):
    content = good(channels={name: [1, cell] for name in TWIN.channels})
    read = scored_json(content, champion)
    assert isinstance(read, ModelInputs), read
    agree(read, ingested_json(content))


@pytest.mark.parametrize("cell", [FIRST_TOO_LARGE, -1e39, 10**400, 2**128, float("nan"), float("inf")])
def test_and_what_does_not_is_none_for_either(champion, cell):
    content = good(channels=good().channels | {"c1": [1, cell]})
    refused = scored_json(content, champion)
    assert refused == ingested_json(content)
    assert refused[0] == "channels.c1"
    assert "a finite number up to 3.4028e+38 is needed" in refused[1]


def test_runs_of_both_are_whole_numbers_from_0_on(champion):
    for run in (-1, 1.0, True, "1", 2**31):
        asset = {"asset": "P-1", "run": run, "time": [1, 2], "channels": good().channels}
        body = json.dumps({"twin": "pump", "assets": [asset]}).encode()
        stored = ingested(json.dumps({"twin": "pump", **asset}).encode(), JSON)
        assert scored(lambda body=body: decode_json(body, lambda _: champion, MOST)) == stored
        assert stored[0] == "run"
