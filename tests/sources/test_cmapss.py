import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foretwin.contract.twin import load_twin
from foretwin.errors import DigestError, SourceError
from foretwin.sources import cmapss
from support.archives import archives

ROOT = Path(__file__).parents[2]
PUBLISHED = {  # subset: training engines, rows, test engines, rows; life min, max; shortest test; test RUL min, max
    "FD001": (100, 20631, 100, 13096, 128, 362, 31, 7, 145),
    "FD002": (260, 53759, 259, 33991, 128, 378, 21, 6, 194),
    "FD003": (100, 24720, 100, 16596, 145, 525, 38, 6, 145),
    "FD004": (249, 61249, 248, 41214, 128, 543, 19, 6, 195),
}


@pytest.fixture(scope="module")
def datasets():
    return archives("cmapss/CMAPSSData.zip")


def contract(subset: str):
    return load_twin(ROOT / "data" / f"cmapss-{subset.lower()}" / "twin.yaml")


@pytest.fixture
def raw(datasets, tmp_path, monkeypatch):
    """FD001's files, free to be damaged."""
    monkeypatch.setenv("FORETWIN_DATASETS", str(datasets))
    cmapss.fetch_cmapss("FD001", tmp_path / "work", tmp_path)
    return tmp_path


@pytest.mark.parametrize("subset", PUBLISHED)
def test_rows_agree_with_what_nasa_publishes(subset, datasets, tmp_path, monkeypatch):
    monkeypatch.setenv("FORETWIN_DATASETS", str(datasets))
    cmapss.fetch_cmapss(subset, tmp_path / "work", tmp_path)
    rows = cmapss.adapt_cmapss(contract(subset), subset, tmp_path)
    train, test = rows[rows["fixed_split"] == ""], rows[rows["fixed_split"] == "test"]
    lives, seen = train.groupby("asset")["time"].max(), test.groupby("asset")["time"].max()
    left = test.groupby("asset")["rul"].min()

    found = (train["asset"].nunique(), len(train), test["asset"].nunique(), len(test))
    assert (*found, lives.min(), lives.max(), seen.min(), left.min(), left.max()) == PUBLISHED[subset]
    assert (train.groupby("asset")["rul"].last() == 0).all()
    assert (train.groupby("asset")["time"].first() == 1).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"RUL_{subset}.txt",
        f"test_{subset}.txt",
        f"train_{subset}.txt",
    ]


def test_the_rul_file_belongs_to_the_last_row_of_each_test_engine(raw):
    rows = cmapss.adapt_cmapss(contract("FD001"), "FD001", raw)
    published = [float(line) for line in (raw / "RUL_FD001.txt").read_text().split()]
    last = rows[rows["fixed_split"] == "test"].groupby("asset").last()

    assert last.index.tolist() == [f"test-{unit:03d}" for unit in range(1, 101)]
    np.testing.assert_array_equal(last["rul"], published)


def test_channels_stand_in_the_columns_of_the_paper(raw):
    first = cmapss.adapt_cmapss(contract("FD001"), "FD001", raw).iloc[0]
    values = [float(value) for value in (raw / "train_FD001.txt").read_text().split("\n")[0].split()]

    np.testing.assert_allclose(first[list(cmapss.CHANNELS)].to_numpy(float), values[2:], rtol=1e-6)
    assert tuple(contract("FD001").channels) == cmapss.CHANNELS


def test_nasas_outer_archive_serves_where_the_inner_one_is_out_of_reach(datasets, tmp_path, monkeypatch):
    inner = (datasets / "cmapss" / "CMAPSSData.zip").read_bytes()
    made = tmp_path / "made"
    (made / "cmapss").mkdir(parents=True)

    with zipfile.ZipFile(made / "cmapss" / cmapss.OUTER_ARCHIVE.name, "w") as outer:
        outer.writestr("6. Turbofan Engine Degradation Simulation Data Set/CMAPSSData.zip", inner)
    digest = hashlib.sha256((made / "cmapss" / cmapss.OUTER_ARCHIVE.name).read_bytes()).hexdigest()
    monkeypatch.setenv("FORETWIN_DATASETS", str(made))
    unreachable = {"url": "http://127.0.0.1:9/CMAPSSData.zip", "sha256": hashlib.sha256(inner).hexdigest()}
    monkeypatch.setattr(cmapss, "ARCHIVE", replace(cmapss.ARCHIVE, **unreachable))
    monkeypatch.setattr(cmapss, "OUTER_ARCHIVE", replace(cmapss.OUTER_ARCHIVE, sha256=digest))
    (tmp_path / "raw").mkdir()
    (tmp_path / "work").mkdir()
    cmapss.fetch_cmapss("FD001", tmp_path / "work", tmp_path / "raw")

    assert len(list((tmp_path / "raw").iterdir())) == 3


def test_a_truncated_archive_is_one_line(datasets, tmp_path, monkeypatch):
    (tmp_path / "cmapss").mkdir()
    content = (datasets / "cmapss" / "CMAPSSData.zip").read_bytes()
    (tmp_path / "cmapss" / "CMAPSSData.zip").write_bytes(content[: len(content) // 2])
    monkeypatch.setenv("FORETWIN_DATASETS", str(tmp_path))
    with pytest.raises(SourceError, match=r"CMAPSSData\.zip: damaged or truncated"):
        cmapss.fetch_cmapss("FD001", tmp_path / "work", tmp_path)


def test_a_member_that_somebody_edited_is_refused(datasets, tmp_path, monkeypatch):

    (tmp_path / "cmapss").mkdir()
    official = zipfile.ZipFile(datasets / "cmapss" / "CMAPSSData.zip")
    with zipfile.ZipFile(tmp_path / "cmapss" / "CMAPSSData.zip", "w") as edited:
        for name in official.namelist():
            edited.writestr(name, official.read(name).replace(b"112 ", b"999 "))
    monkeypatch.setenv("FORETWIN_DATASETS", str(tmp_path))
    with pytest.raises(DigestError):
        cmapss.fetch_cmapss("FD001", tmp_path / "work", tmp_path)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("train_FD001.txt", "641.82", "much", r"line 1: t24 is not a number"),
        ("train_FD001.txt", "641.82", "", r"not a table of numbers: .*line 2"),
        ("test_FD001.txt", "\n2 1 ", "\n200 1 ", r"column 1 must number the engines from 1 without gaps"),
        ("RUL_FD001.txt", "112", "112\n7", r"has 101 lines for 100 test engines"),
        ("RUL_FD001.txt", "112", "112 7", r"not a table of numbers|columns instead of 1"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(raw, name, old, new, reason):
    edit(raw / name, old, new)
    with pytest.raises(SourceError, match=reason) as caught:
        cmapss.adapt_cmapss(contract("FD001"), "FD001", raw)
    assert str(raw / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"\x00\xff\xfe"])
def test_an_absent_empty_or_binary_file_is_a_source_error(raw, content):
    (raw / "train_FD001.txt").unlink()
    if content is not None:
        (raw / "train_FD001.txt").write_bytes(content)
    with pytest.raises(SourceError, match=r"train_FD001\.txt"):
        cmapss.adapt_cmapss(contract("FD001"), "FD001", raw)
