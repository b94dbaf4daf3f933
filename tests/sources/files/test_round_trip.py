"""The same table in any notation gives the same rows."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from foretwin.sources.files.guess.survey import surveyed
from foretwin.validation.scaffold.written import spread_frame
from support.written_table import EPOCHS, FORMS, PACKERS, Writing, adapted, contract

STARTS = ("2024-03-30 20:00", "2024-10-26 20:00", "2024-07-25 12:00")  # two of them before a change of the clocks
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-16-le")


def machines(start: str, count: int, seed: int) -> pd.DataFrame:
    """Hourly rows of machines, over 20 hours each, with numbers from -9,999.99 to 99,999.99."""
    generator = np.random.default_rng(seed)
    hours = pd.date_range(start, periods=20, freq="h", tz="UTC")
    values = np.round(generator.uniform(-9999, 99999, (2, 20 * count)), 2)
    values[:, ::3] = np.round(values[:, ::3] / 1000, 2)
    names = [f"M-{number}" for number in range(count) for _ in hours]
    return pd.DataFrame({"asset": names, "time": list(hours) * count, "force": values[0], "heat": values[1]})


@st.composite
def writings(draw) -> Writing:
    separator = draw(st.sampled_from([",", ";", "\t", "|"]))
    decimal = draw(st.sampled_from([".", ","]))
    form = draw(st.sampled_from([*FORMS, *EPOCHS]))
    headless = draw(st.booleans())
    return Writing(
        encoding=draw(st.sampled_from(ENCODINGS)),
        separator=separator,
        decimal=decimal,
        thousands=draw(st.sampled_from(["", " ", "'", "." if decimal == "," else ","])),
        preamble=draw(st.integers(0, 3)),
        units=not headless and draw(st.booleans()),
        footer=draw(st.integers(0, 2)),
        ends=draw(st.sampled_from(["\n", "\r\n"])),
        packing=draw(st.sampled_from([*PACKERS, ".zst"])),
        form=form,
        zone="" if form in EPOCHS else draw(st.sampled_from(["", "Europe/Berlin", "America/New_York"])),
        shape=draw(st.sampled_from(["wide", "long"])),
        headless=headless,
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(writing=writings(), start=st.sampled_from(STARTS), files=st.integers(1, 3), seed=st.integers(0, 99))
def test_a_table_in_any_notation_gives_the_same_rows(writing, start, files, seed):
    frame = machines(start, 2, seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for number, part in enumerate(np.array_split(np.arange(20), files)):
            rows = frame[(np.arange(len(frame)) % 20 >= part[0]) & (np.arange(len(frame)) % 20 <= part[-1])]
            (place / f"day{number + 8}.csv{writing.packing}").write_bytes(writing.write(rows))
        path = f"day8.csv{writing.packing}" if files == 1 else "day*"
        rows = adapted(contract(path, **writing.source()), place, place / "raw")
    assert rows["asset"].tolist() == frame["asset"].tolist()
    assert rows["time"].tolist() == list(range(20)) * 2
    np.testing.assert_allclose(rows[["force", "heat"]], frame[["force", "heat"]], rtol=1e-6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(writing=writings(), start=st.sampled_from(STARTS), seed=st.integers(0, 99))
def test_what_is_guessed_about_a_notation_reads_the_same_numbers(writing, start, seed):
    assume(not writing.form.startswith("%") and not (writing.headless and writing.shape == "long"))
    frame = machines(start, 2, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"export.csv{writing.packing}"
        path.write_bytes(writing.write(frame))
        with surveyed(str(path)) as survey:
            found = spread_frame(survey).frame
    names = list(found.columns)
    wide = [name for name in names if pd.api.types.is_float_dtype(found[name])]
    assert len(wide) == 2, names
    np.testing.assert_allclose(found[wide], frame[["force", "heat"]])
