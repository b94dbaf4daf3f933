"""Files of real plants and rigs as they were published, from the first command to canonical rows."""

from pathlib import Path

import pytest

from foretwin.contract.twin import load_twin
from foretwin.project.paths import Paths
from foretwin.sources import adapt, fetch
from foretwin.validation.scaffold.draft import draft_contract
from support.archives import ROOT, archives

EXPORTS = "awkward_exports"
PAGE = (ROOT / "data" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("files", "edits", "rows", "machines", "last"),
    [
        # 108 tags, a first column without a name, and words of a historian in the place of numbers.
        ("process_petrobras/real_process_data.csv", {}, 3168, 1, 15840),
        # One tag per row.
        (f"{EXPORTS}/derived_long_format_from_process_petrobras.csv", {}, 1151, 1, 5755),
        # Decimal commas and wall-clock time over both changes of the clock: 28 days of 96 quarters, within 224 days.
        (f"{EXPORTS}/smard_lu_2024_excerpt_dst_weeks.csv", {}, 2688, 1, 322_545),
        # A line before the header, two below it; a preamble; dates that may be September.
        (f"{EXPORTS}/campbell_scientific_demo_data1.csv", {'"ask"': "day_first"}, 188, 1, 1940),
        (f"{EXPORTS}/windographer_demo_data1.txt", {'"ask"': "day_first"}, 188, 1, 1940),
        (f"{EXPORTS}/demo_data2.csv", {'"ask"': "day_first"}, 188, 1, 1940),
        # A clock that steps back by an hour.
        ("nab_machine/machine_temperature_system_failure.csv", {}, 22_683, 1, 113_410),
        # Files in a folder with others, packed, one per life.
        ("plant_ppd", {}, 57_902, 4, 3920),
        # 44 files without a header in an archive with others, one of them transposed: 500 + 21 x 480 + 22 x 960 rows.
        ("tep/TE_process_data.zip", {}, 31_700, 44, 959),
    ],
)
def test_a_published_file_becomes_rows(tmp_path, files, edits, rows, machines, last):
    assert f" $FORETWIN_DATASETS/{files}`" in PAGE, "the page has the command"
    place = archives(files) / files
    paths = Paths(tmp_path, "mine")
    paths.data.mkdir(parents=True)
    paths.raw.mkdir(parents=True)
    text = draft_contract("mine", place, tmp_path).text
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new)
    paths.contract.write_text(text, encoding="utf-8")
    contract = load_twin(paths.contract)
    fetch(contract, paths, paths.raw)
    table = adapt(contract, paths.raw)
    assert len(table) == rows
    assert table["asset"].nunique() == machines
    assert table["time"].iloc[-1] == last
    needed = [name for name, channel in contract.channels.items() if not channel.may_be_missing]
    assert table[needed].notna().all(axis=None)
    assert Path(contract.source.path).is_absolute(), "outside of the project"
