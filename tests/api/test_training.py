"""Training and evaluation from Python, against the stages that do the same from files."""

import pytest

import foretwin
from foretwin.api.training import CHOICE
from foretwin.dataset.table import read_rows
from foretwin.errors import BadInput, TrainingError
from foretwin.evaluation.held_out import Truth, figures_of
from foretwin.training.tuning import FIRST
from support.small_fleet import PREPARE, fleet_rows, fleet_twin, prepared

TWIN = fleet_twin()
DEVELOPMENT, HELD_OUT = foretwin.hold_out(fleet_rows(TWIN), TWIN, PREPARE.test_share, PREPARE.seed)


@pytest.fixture(scope="module")
def bundle():
    return foretwin.train(DEVELOPMENT, TWIN, windows=2560, folds=2)


def test_a_trained_bundle_foresees_the_end_of_machines_that_it_has_not_seen(bundle):
    figures = foretwin.evaluate(bundle, HELD_OUT)
    assert figures["assets"] == HELD_OUT["asset"].nunique()
    assert figures["rul"]["clipped"]["rmse"] < 6, "a constant errs by about 10 h"
    assert figures["fault"]["mode"]["macro_f1"] > 0.5
    assert figures["rul"]["interval"]["level"] == 0.9


def test_the_same_arguments_give_the_same_bundle_and_another_seed_another(bundle):
    assert foretwin.train(DEVELOPMENT, TWIN, windows=2560, folds=2).digest == bundle.digest
    assert foretwin.train(DEVELOPMENT, TWIN, windows=2560, folds=2, seed=2).digest != bundle.digest


def test_the_figures_are_those_of_the_stage_evaluate(bundle, tmp_path):
    prepared(tmp_path, TWIN, fleet_rows(TWIN))
    cut = read_rows(tmp_path / "test.parquet", TWIN)
    expected = figures_of(bundle, bundle.score(cut), Truth.of(cut, TWIN))
    found = foretwin.evaluate(bundle, HELD_OUT, PREPARE.cuts, PREPARE.seed)
    assert found == {"assets": HELD_OUT["asset"].nunique(), "cuts": cut["asset"].nunique(), **expected}


def test_a_bundle_is_written_where_it_is_wanted_and_replaces_only_a_bundle(tmp_path):
    folder = tmp_path / "bundle"
    first = foretwin.train(DEVELOPMENT, TWIN, str(folder), windows=128, folds=2)
    second = foretwin.train(DEVELOPMENT, TWIN, folder, windows=128, folds=2, seed=2)
    assert foretwin.load_bundle(folder).digest == second.digest != first.digest
    (tmp_path / "other" / "kept.txt").parent.mkdir()
    (tmp_path / "other" / "kept.txt").write_text("mine")
    with pytest.raises(BadInput) as refused:
        foretwin.train(DEVELOPMENT, TWIN, tmp_path / "other", windows=128, folds=2)
    assert refused.value.field == "folder"
    assert (tmp_path / "other" / "kept.txt").read_text() == "mine"


@pytest.mark.parametrize(("argument", "value"), [("windows", 0), ("seed", -1), ("folds", 1), ("folds", 13)], ids=str)
def test_a_budget_that_cannot_be_is_named(argument, value):
    with pytest.raises(BadInput) as refused:
        foretwin.train(DEVELOPMENT, TWIN, **{argument: value})
    assert refused.value.field == argument


def test_rows_without_labels_are_nothing_to_learn_from():
    bare = DEVELOPMENT[["asset", "run", "time", *TWIN.channel_names]]
    with pytest.raises(TrainingError, match="label more runs"):
        foretwin.train(bare, TWIN)


def test_the_fixed_hyper_parameters_are_the_first_that_tuning_tries():
    first = {name.replace("_statistics", ""): value for name, value in FIRST[0].items()}
    assert CHOICE.model_dump() == first


def test_a_run_is_scored_at_each_row_as_when_the_row_came_in(bundle):
    run = HELD_OUT[HELD_OUT["asset"] == HELD_OUT["asset"].iloc[0]]
    course = foretwin.score_run(bundle, run)
    assert course["time"].tolist() == run["time"].tolist()
    assert course["true_rul"].tolist() == run["rul"].tolist()
    early = bundle.score(run.iloc[:20])
    assert course["rul"].iloc[19] == pytest.approx(early["rul"].iloc[0], abs=1e-4)
    assert set(course["asset"]) == {run["asset"].iloc[0]}


def test_one_run_is_scored_at_a_time(bundle):
    with pytest.raises(BadInput, match="choose one"):
        foretwin.score_run(bundle, HELD_OUT)
