"""A scoring call as a table."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from foretwin.champion.champion import Champion, ChampionRecord
from foretwin.champion.identity import ModelIdentity
from foretwin.errors import BadInput
from foretwin.predictor.bundle import Bundle
from foretwin.serving.scoring.calls.table_call import decode_table_call
from support.tiny_bundle import random_rows, save_tiny_bundle, tiny_twin

TWIN = tiny_twin()
ROWS = random_rows(TWIN, {"B": 5, "A": 3})


@pytest.fixture(scope="module")
def champion(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    save_tiny_bundle(folder, TWIN)
    return Champion(ModelIdentity("foretwin-pump", "3", "r1", "d1"), Bundle.load(folder), ChampionRecord())


def table_of(rows):
    return pa.Table.from_pandas(rows, preserve_index=False)


@pytest.mark.parametrize("dictionary", [False, True])
@pytest.mark.parametrize("with_run", [False, True])
def test_a_table_scores_as_the_bundle_does(champion, dictionary, with_run):
    table = table_of(ROWS if with_run else ROWS.drop(columns="run"))
    if dictionary:
        table = table.set_column(0, "asset", table["asset"].dictionary_encode())
    got = champion.bundle.answer(decode_table_call(table, champion).tracks).frame()
    pd.testing.assert_frame_equal(got, champion.bundle.score(ROWS), check_dtype=False)


def test_pieces_of_a_table_with_dictionaries_of_their_own_are_one_table(champion):
    pieces = [table_of(ROWS[ROWS["asset"] == name]) for name in ("B", "A")]
    pieces = [piece.set_column(0, "asset", piece["asset"].dictionary_encode()) for piece in pieces]
    got = champion.bundle.answer(decode_table_call(pa.concat_tables(pieces), champion).tracks).frame()
    assert got["asset"].tolist() == ["B", "A"]
    assert got["rul"].tolist() == champion.bundle.score(ROWS)["rul"].tolist()


def test_of_several_runs_the_last_one_is_scored(champion):
    later = ROWS.assign(run=2)
    both = pd.concat([ROWS[ROWS["asset"] == "A"], later[later["asset"] == "A"]])
    call = decode_table_call(table_of(both), champion)
    assert call.tracks.runs.tolist() == [2]
    assert call.tracks.seen().tolist() == [3]


def change(name, place, value):
    column = ROWS[name].astype(object)
    column.iloc[place] = value
    return ROWS.assign(**{name: column})


@pytest.mark.parametrize(
    ("rows", "field", "reason"),
    [
        (ROWS.drop(columns="asset"), "asset", "is missing"),
        (ROWS.drop(columns="time"), "time", "is missing"),
        (ROWS.drop(columns="c1"), "c1", "is missing"),
        (ROWS.assign(flow=1.0), "flow", "is unknown"),
        (ROWS.head(0), "rows", "none to score"),
        (ROWS.assign(c1="1"), "c1", 'is "1", a number is needed (asset B, row 1)'),
        (ROWS.assign(c1=True), "c1", "is a truth value, a number is needed"),
        (change("c1", 6, np.nan), "c1", "is null, a number is needed (asset A, row 7)"),
        (change("c1", 6, None), "c1", "is null, a number is needed (asset A, row 7)"),
        (change("time", 3, np.inf), "time", "is inf, a finite number up to 3.4028e+38 is needed (asset B, row 4)"),
        (ROWS.assign(c1=ROWS["c1"] * 1e300), "c1", "a finite number up to 3.4028e+38 is needed (asset"),
        (ROWS.assign(asset=7), "asset", "text is needed"),
        (change("asset", 0, None), "asset", "is null, a text of 1 to 200"),
        (change("asset", 0, ""), "asset", 'is "", a text of 1 to 200'),
        (ROWS.assign(asset="x" * 201), "asset", "a text of 1 to 200"),
        (ROWS.assign(asset=["A", "B"] * 4, time=range(8)), "asset", "are not contiguous"),
        (ROWS.iloc[::-1], "time", "does not increase for asset A"),
        (change("time", 1, 1.0), "time", "does not increase for asset B in row 2"),
        (ROWS.assign(run=1.5), "run", "is 1.5, a whole number from 0"),
        (change("run", 6, None), "run", "is null, a whole number from 0 to 2147483647 is needed (asset A, row 7)"),
        (ROWS.assign(time=ROWS["time"] * 3600), "time of B", "times are in h"),
        (ROWS.assign(observed_at="now"), "observed_at", "moments are needed"),
        (ROWS.assign(observed_at=pd.Timestamp("2999-01-01", tz="UTC")), "observed_at", "in the future"),
        (ROWS.assign(observed_at=pd.Timestamp("2026-01-01")), "observed_at", "has no zone"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_its_column(champion, rows, field, reason):
    with pytest.raises(BadInput) as refused:
        decode_table_call(table_of(rows), champion)
    assert refused.value.field == field
    assert reason in refused.value.reason


def test_a_unit_in_the_metadata_of_a_column_is_checked(champion):
    table = table_of(ROWS)
    for unit, right in [(b"bar", True), (b"psi", False)]:
        place = table.column_names.index("c1")
        said = table.set_column(place, table.field(place).with_metadata({b"unit": unit}), table["c1"])
        if right:
            assert decode_table_call(said, champion).tracks
        else:
            with pytest.raises(BadInput, match=r'units\.c1: is "psi", bar is needed'):
                decode_table_call(said, champion)


@pytest.mark.dated
def test_when_the_data_was_observed_is_that_of_an_assets_last_row(champion):
    now = datetime.now(UTC)
    moments = [now - timedelta(hours=9 - i) for i in range(8)]
    call = decode_table_call(table_of(ROWS.assign(observed_at=moments)), champion)
    assert call.ages(now) == pytest.approx([5 * 3600, 2 * 3600])


def test_without_such_a_column_nobody_knows(champion):
    assert decode_table_call(table_of(ROWS), champion).observed_at == (None, None)
