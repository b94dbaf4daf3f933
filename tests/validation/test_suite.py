import html
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import Twin
from foretwin.dataset.table import canonical
from foretwin.validation.fleet_profile import Profile
from foretwin.validation.rules import fleet_rules, row_rules, run_rules
from foretwin.validation.suite import ValidationReport, validate
from support.small_pump import LIFE, STRICT, broken_rows, rows_of, twin_of

# The rule, its column, on how many rows it is broken, and the first three positions of them.
BROKEN = [
    ("speed is present on every row", "speed", 2, [5, 17]),
    ("fixed_split is present on every row", "fixed_split", 1, [24]),
    ("fixed_split is empty or test", "fixed_split", 1, [173]),
    ("speed stays within 0 to 3000 rpm", "speed", 2, [49, 67]),
    ("pressure stays within 0 to 0.1 bar", "pressure", 4, [33, 34, 35]),
    ("fault_mode is a class from 0 to 1, or -1 for unknown", "fault_mode", 1, [78]),
    ("time rises from row to row within a run", "time", 1, [83]),
    ("the rows of a run stand together", "run", 1, [107]),
    ("an asset is wholly in the fixed test set or outside it", "fixed_split", 10, [160, 161, 162]),
    ("a run has at least 3 rows (quality.min_run_rows)", "run", 2, [190, 191]),
    ("rul falls by as much as time rises within a run", "rul", 2, [122, 189]),
    ("density is unchanged for at most 4 rows (quality.max_stuck_rows)", "density", 187, [0, 1, 2]),
    ("pressure is unchanged for at most 4 rows (quality.max_stuck_rows)", "pressure", 5, [130, 131, 132]),
    ("at least 20 runs outside the fixed test set reach rul 0 (quality.min_failures)", "rul", 2, [189, 191]),
    ("rul is known on at least 100% of the rows (quality.min_known_rul)", "rul", 4, [140, 141, 143]),
    ("fault_mode is known on at least 100% of the rows (quality.min_known_faults)", "fault_mode", 1, [159]),
    ("density takes at least 2 values (quality.may_be_constant)", "density", 192, [0, 1, 2]),
]


@pytest.fixture
def check(tmp_path):
    """Validate rows and return the report."""

    def run(rows: pd.DataFrame, twin: Twin | None = None) -> ValidationReport:
        return validate(rows, twin or twin_of(), tmp_path)

    return run


def test_a_channel_that_tells_the_label_and_a_name_in_two_spellings_are_refused(check):
    rows = rows_of(twin_of()).assign(pressure=lambda rows: rows["rul"] / 100).replace({"asset": {"a1": "A0\u200b"}})
    report = check(rows)
    assert [(one.column, one.rows) for one in report.broken] == [("asset", LIFE), ("pressure", 0)]
    spelt, told = (str(one) for one in report.broken)
    assert spelt == "no two assets have one name in two spellings (source.spellings): 10 rows"
    assert "leave it out or set quality.allow" in told


@pytest.mark.parametrize(
    ("values", "tells"),
    [
        (lambda rows: rows["rul"], True),
        (lambda rows: rows["time"] + 1000, True),
        (lambda rows: rows["fault_mode"], True),
        (lambda rows: rows["pressure"] + rows["rul"] / 100, False),
    ],
    ids=["countdown", "age", "label", "noisy wear"],
)
def test_a_telling_channel_is_measured_unless_it_is_allowed(values, tells):
    rows = rows_of(twin_of())
    rows["pressure"] = values(rows).astype("float32")
    for allow in ([], ["pressure"]):
        twin = twin_of(allow=allow)
        measured = Profile.of(rows, twin).fleet["tells_pressure"].iloc[0]
        assert measured == float(tells and not allow)
        assert ("tells_pressure" in {rule.measure for rule in fleet_rules(twin)}) is not bool(allow)


@pytest.fixture(scope="module")
def broken(tmp_path_factory) -> tuple[ValidationReport, Path]:
    """The report on `broken_rows`, and the folder that it was left in."""
    folder = tmp_path_factory.mktemp("broken")
    return validate(broken_rows(), twin_of(**STRICT), folder), folder


def test_every_broken_rule_is_named_and_no_other(broken):
    report, _ = broken

    assert [(found.rule, found.column) for found in report.broken] == [(rule, column) for rule, column, *_ in BROKEN]
    assert not report.success
    assert str(report).endswith(f"{len(BROKEN)} broken")


@pytest.mark.parametrize(("rule", "column", "count", "positions"), BROKEN, ids=[rule for rule, *_ in BROKEN])
def test_a_broken_rule_shows_the_rows_that_break_it(broken, rule, column, count, positions):
    found = next(found for found in broken[0].broken if found.rule == rule)

    expected = broken_rows().loc[positions, ["asset", "run", "time", column]]
    expected = expected.set_axis(["asset", "run", "time", "value"], axis=1).reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.DataFrame(found.first), expected, check_dtype=False)
    assert found.rows == count


def test_repeated_and_negative_and_unreadable_rows_are_all_reported_at_once(check):
    rows = rows_of(twin_of())
    rows.loc[[3, 23], "time"] = [2, np.inf]
    rows.loc[30, "asset"] = ""
    rows.loc[45, "time"] = np.nan
    rows.loc[50, "rul"] = -1

    report = check(rows)

    found = {broken.rule: [row["time"] for row in broken.first] for broken in report.broken}
    assert found["asset, run and time together are unique"] == [2, 2]
    assert found["time is finite"] == [np.inf]
    assert np.isnan(found["time is present on every row"]).all()
    assert found["asset has a name"] == [0]
    assert found["rul is 0 or more, or unknown"] == [0]


def test_good_rows_pass_and_stay_as_they_are(check):
    twin = twin_of()
    rows = rows_of(twin)
    rows.loc[0, "pressure"] = 0.1  # the limit; as float32 it is a little more
    assert float(rows["pressure"].iat[0]) > 0.1
    before = rows.copy()

    report = check(rows, twin)

    rules = len(row_rules(twin)) + len(run_rules(twin)) + len(fleet_rules(twin)) + 1 + len(rows.columns)
    assert report.success
    assert str(report) == f"pump: 60 rows, {rules} expectations, all met"
    pd.testing.assert_frame_equal(rows, before)


def test_rul_that_float32_rounds_is_in_step():
    twin = twin_of()
    time = np.arange(0, 3e5, 9.7)
    rows = canonical(
        pd.DataFrame(
            {"asset": "a", "run": 0, "time": time, "speed": 1, "density": 1, "pressure": 0, "rul": 3e5 - time}
        ),
        twin,
    )
    assert Profile.of(rows, twin).behind["rul_out_of_step"].count == 0


def test_a_table_with_other_columns_or_types_is_asked_nothing_else(check):
    rows = rows_of(twin_of())

    absent = check(rows.drop(columns="speed"))
    retyped = check(rows.assign(asset=rows["asset"].astype(object), speed=rows["speed"].astype("Float32")))

    assert [broken.column for broken in absent.broken] == ["columns"]
    assert "found asset, run, time, density" in str(absent.broken[0])
    assert [str(broken) for broken in retyped.broken] == [
        "asset is of type str: found object",
        "speed is of type float32: found Float32",
    ]


def test_one_asset_is_too_few_and_the_report_says_how_many_there_are(check):
    report = check(rows_of(twin_of(), assets=1))

    assert [str(broken) for broken in report.broken] == [
        "at least 5 assets (quality.min_assets): found 1",
        "at least 3 runs outside the fixed test set reach rul 0 (quality.min_failures): found 1",
    ]


def test_runs_of_a_fixed_test_set_may_stop_before_they_fail_but_do_not_count_as_failures(check):
    rows = rows_of(twin_of())
    in_test = rows["asset"].isin(["a3", "a4", "a5"])
    rows.loc[in_test, "fixed_split"] = "test"
    stopped = rows[~(in_test & (rows["rul"] < 4))].reset_index(drop=True)
    failed_in_test_alone = rows.assign(rul=rows["rul"] + np.where(in_test, 0, 5).astype(np.float32))

    assert check(stopped).success
    (broken,) = check(failed_in_test_alone).broken
    assert str(broken).startswith("at least 3 runs outside the fixed test set reach rul 0")
    assert str(broken).endswith("3 rows, found 0")
    assert [(row["asset"], row["value"]) for row in broken.first] == [("a0", 5), ("a1", 5), ("a2", 5)]


@pytest.mark.parametrize(("rul", "faults"), [(True, False), (False, True)])
def test_a_label_that_the_twin_does_not_have_is_not_asked_for(check, rul, faults):
    twin = twin_of(rul=rul, faults=faults)
    rows = rows_of(twin)
    if not rul:
        rows["rul"] = np.float32(np.nan)

    report = check(rows, twin)

    assert report.success, report.details()


def test_every_constant_channel_is_named(check):
    rows = rows_of(twin_of()).assign(speed=np.float32(1500), pressure=np.float32(0.05))

    report = check(rows, twin_of(max_stuck_rows=None))

    assert [broken.rule for broken in report.broken] == [
        "speed takes at least 2 values (quality.may_be_constant)",
        "pressure takes at least 2 values (quality.may_be_constant)",
    ]


def test_an_empty_table_fails_without_a_traceback(check):
    report = check(rows_of(twin_of()).iloc[:0])

    assert "at least 5 assets (quality.min_assets): found 0" in [str(broken) for broken in report.broken]


class Links(HTMLParser):
    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.found |= {value for name, value in attrs if name in ("href", "src") and value}


def test_data_docs_open_from_their_index_and_report_home_to_nobody(broken):
    report, folder = broken
    docs = folder / "docs"

    pages = list(docs.rglob("*.html"))
    for page in pages:
        for link in Links(page).found:
            if not re.match(r"https?:|#", link):
                assert (page.parent / link).is_file(), f"{page}: {link}"
        assert "great-expectations-web-assets" not in page.read_text()
        assert "utm_source" not in page.read_text()
    assert {page.relative_to(docs).as_posix() for page in pages} - {"index.html"} <= Links(docs / "index.html").found
    overview = html.unescape((docs / "index.html").read_text())
    assert all(line in overview for line in report.details())
    results = next(docs.glob("validations/rows/**/*.html")).read_text()
    assert "pressure stays within 0 to 0.1 bar" in results


def test_equal_rows_leave_equal_files(broken, tmp_path):
    validate(broken_rows(), twin_of(**STRICT), tmp_path)
    trees = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (broken[1], tmp_path)
    ]

    assert trees[0] == trees[1]
    result = json.loads(trees[0][Path("result.json")], parse_constant=pytest.fail)
    assert result["success"] is False
    assert result["broken"][0]["first"][0]["value"] == "nan"
    assert set(result["checkpoints"]) == {"columns", "rows", "runs", "fleet"}
    assert not any(str(tmp_path).encode() in content for content in trees[0].values())


def test_importing_validation_does_not_import_great_expectations():
    code = "import sys, foretwin.validation.suite; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
