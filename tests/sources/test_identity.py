"""One machine is one asset, however its name is spelt, and a counter keeps its rise."""

import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foretwin.contract.twin import Twin
from foretwin.dataset.machine_names import first_spellings, spelling_key
from foretwin.errors import SourceError
from foretwin.sources.lives.counters import is_flattened
from foretwin.sources.table import adapt_table, read_rows_of

NAMES = st.text(st.characters(codec="utf-8", categories=["L", "Nd", "Pd"]), min_size=1, max_size=8)
SPELLINGS = (
    str.upper,
    str.lower,
    lambda name: f" {name}\u00a0",
    lambda name: f"\u200b{name}\ufeff",
    lambda name: unicodedata.normalize("NFKD", name),
    lambda name: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in name),
)


def twin(**source) -> Twin:
    channels = {name: {"unit": "1", "role": "sensor", "min": 0, "max": 1e10} for name in ("force", "energy")}
    return Twin.model_validate(
        {
            "name": "press",
            "title": "Press",
            "source": {"kind": "table", "path": "press.csv", "asset": "asset", "time": "hour"} | source,
            "clock": {"unit": "h", "step": 1},
            "channels": channels,
            "rul": {"cap": 10, "remedy": {"part": "ram", "instruction": "replace it", "lead_time": 1}},
            "window": {"length": 10},
        }
    )


def adapted(folder, contract: Twin, **columns) -> pd.DataFrame:
    pd.DataFrame({"force": 1.0, "energy": 2.0} | columns).to_csv(folder / "table.csv", index=False)
    return pd.concat(adapt_table(contract, contract.source, folder), ignore_index=True)


@given(NAMES, st.sampled_from(SPELLINGS))
def test_every_spelling_of_a_name_has_one_key(name, spelt):
    assert spelling_key(spelt(name)) == spelling_key(name)


@pytest.mark.parametrize(
    ("one", "other"), [("7", "07"), ("7", "7.0"), ("007", "７"), ("-0", "0"), ("Straße", "STRASSE")]
)
def test_numbers_and_letters_have_several_spellings(one, other):
    assert spelling_key(one) == spelling_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("7", "70"), ("M-1", "M-01"), ("1.1", "1.10"), ("12e4", "120000"), ("-7", "7")]
)
def test_names_that_differ_are_two_machines(one, other):
    assert first_spellings([one, other]) == {one: one, other: other}


@pytest.mark.parametrize("other", ["m-01", "M-01\u200b", "Ｍ-01"])
def test_two_spellings_are_refused_or_joined(tmp_path, other):
    columns = {"asset": ["M-01", "M-01", "M-02", other, other], "hour": [0, 1, 0, 2, 3]}
    with pytest.raises(SourceError) as caught:
        adapted(tmp_path, twin(), **columns)
    assert f"line 5: column 'asset': {other!r} and 'M-01' are one machine's name in two spellings" in str(caught.value)
    assert "(2 rows)" in str(caught.value)
    assert "source.spellings: join" in str(caught.value)

    joined = adapted(tmp_path, twin(spellings="join"), **columns)
    assert joined["asset"].tolist() == ["M-01"] * 4 + ["M-02"]
    assert joined["time"].tolist() == [0, 1, 2, 3, 0]


def counter(lives: int = 3, rows: int = 30, rise: float = 7.0) -> dict[str, list]:
    return {
        "asset": np.repeat([f"m{number}" for number in range(lives)], rows).tolist(),
        "hour": np.tile(np.arange(rows), lives).tolist(),
        "energy": (3_200_000_000 + rise * np.arange(lives * rows)).tolist(),
    }


def test_a_counter_that_single_precision_flattens_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(
        SourceError, match=r"column 'energy': single precision.* flattens it \(90 values become 3\); add"
    ):
        adapted(tmp_path, twin(), **counter())
    rows = adapted(tmp_path, twin(rates=["energy"]), **counter())
    assert rows["energy"].tolist() == [7.0] * 90


def test_a_rate_is_per_unit_of_time_and_within_a_run(tmp_path):
    columns = {"asset": list("aaabbc"), "hour": [0, 2, 3, 0, 4, 0], "energy": [100, 110, 112, 900, 900, 5]}
    rows = adapted(tmp_path, twin(rates=["energy"]), **columns)
    assert rows["energy"].tolist() == [5, 5, 2, 0, 0, 0], "the first row has the second one's rate"


def test_any_cut_of_a_file_but_its_first_row_gives_the_same_rates(tmp_path):
    columns, contract = counter(lives=1, rise=3.5), twin(rates=["energy"])
    frame = pd.DataFrame({"force": 1.0} | columns)
    frame.iloc[12:].to_csv(tmp_path / "later.csv", index=False)
    whole = adapted(tmp_path, contract, **columns)
    later = read_rows_of(contract, contract.source, tmp_path / "later.csv")
    assert later["energy"].tolist() == whole["energy"].tolist()[12:]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.floats(-1e6, 1e6), st.floats(0.01, 1e3), st.integers(0, 2**31))
def test_an_honest_sensor_is_not_flattened(level, spread, seed):
    values = level + spread * np.random.default_rng(seed).normal(size=200)
    if abs(level) / spread < 1e5:
        assert not is_flattened(values, np.repeat(np.arange(4), 50))


def test_a_quantity_is_flattened_where_nothing_of_its_course_is_left():
    runs = np.repeat(np.arange(4), 50)
    noise = np.random.default_rng(1).normal(size=200)
    assert is_flattened(1e9 + noise, runs)
    assert not is_flattened(np.full(200, 1e9), runs), "a constant has no course"
    assert not is_flattened(np.full(200, np.nan), runs)
    assert not is_flattened(2e7 + 7.0 * np.arange(200), runs)
