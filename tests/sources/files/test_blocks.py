"""Text cut between records, and rows put together by machine, whatever the size of a piece."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretwin.sources.files.blocks import text_blocks
from foretwin.sources.lives.machine_order import machine_bundles

CELLS = st.text(st.sampled_from('ab"\n\r,é'), max_size=6)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12), st.integers(1, 60), st.sampled_from(["", "\n\n"]))
@settings(max_examples=150, deadline=None)
def test_blocks_hold_whole_records_each_after_the_header(rows, size, blank):
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("one", 'the\n"other"'), *rows])
    text = (blank + out.getvalue()).encode()
    found = []
    for block in text_blocks(io.BytesIO(text), size):
        header, *records = (one for one in csv.reader(io.StringIO(block.decode(), newline="")) if one)
        assert header == ["one", 'the\n"other"']
        found += map(tuple, records)
    assert found == rows


@pytest.mark.parametrize("text", [b"", b"a,b", b"a,b\n", b"a,b\n1,2", b'a,b\n"1,2\n3,4\n'])
def test_a_text_of_one_block_is_left_as_it_is(text):
    assert list(text_blocks(io.BytesIO(text), 1000)) == [text]


def pieces_of(machines: str, size: int) -> list[pd.DataFrame]:
    moments = pd.to_datetime(np.arange(len(machines)), unit="s")
    frame = pd.DataFrame({"asset": list(machines), "time": moments, "flow": np.arange(len(machines)) / 2})
    return [frame.iloc[begin : begin + size] for begin in range(0, len(frame), size)]


@pytest.mark.parametrize("machines", ["aaabbbcccdd", "abcabcabdab", "ddddddcba", "a" * 11, "abcdefghijk"])
@pytest.mark.parametrize(("size", "least"), [(1, 1), (3, 4), (4, 1), (100, 2), (2, 100)])
def test_bundles_hold_all_rows_of_their_machines_in_the_order_of_the_file(machines, size, least):
    bundles = list(machine_bundles(pieces_of(machines, size), least))
    assert all(len(bundle) >= least for bundle in bundles[:-1])
    assert sum(bundle["asset"].nunique() for bundle in bundles) == len(set(machines))
    (whole,) = pieces_of(machines, 100)
    rank = whole["asset"].map({name: number for number, name in enumerate(dict.fromkeys(machines))})
    expected = whole.iloc[np.argsort(rank, kind="stable")]
    found = pd.concat([bundle.iloc[np.argsort(pd.factorize(bundle["asset"])[0], kind="stable")] for bundle in bundles])
    pd.testing.assert_frame_equal(found, expected, check_index_type=False, check_dtype=False)
