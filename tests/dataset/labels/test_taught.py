"""Which questions wait for labels."""

import json

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.questions import questions_of
from foretwin.contract.twin import Twin
from foretwin.dataset.labels.taught import FILE, load_taught, read_lacking, write_lacking
from foretwin.dataset.splits import prepare
from foretwin.dataset.table import FAULT_UNKNOWN, canonical, fault_column
from foretwin.project.params import PrepareParams
from foretwin.project.paths import Paths
from support.tiny_bundle import REMEDY, random_rows, tiny_twin

TWIN = Twin.model_validate(tiny_twin().model_dump() | {"health": {"remedy": REMEDY}})
PARAMS = PrepareParams(test_share=0.25, folds=3, cuts=20, seed=1)
MACHINES = [f"m{i:02}" for i in range(16)]
NO_CLASSES, NO_LIFE = "no labels show two of its classes", "no labels show a remaining life below the cap"


@pytest.fixture
def lacking(tmp_path):
    """What waits, of machines with labels of `mode` and the RUL that a function of their rows writes."""
    paths = Paths(tmp_path, TWIN.name)
    paths.windows.mkdir(parents=True)
    paths.contract.write_text(TWIN.model_dump_json())

    def found(labelled, twin: Twin = TWIN) -> dict[str, str]:
        rows = random_rows(TWIN, dict.fromkeys(MACHINES, 30))
        rows = canonical(labelled(rows.drop(columns=["rul", *map(fault_column, TWIN.axes)], errors="ignore")), twin)
        prepare(rows, twin, PARAMS, paths.windows)
        said = write_lacking(twin, paths.windows)
        assert read_lacking(paths) == said
        if twin is TWIN:
            assert set(questions_of(load_taught(paths))) == set(questions_of(TWIN)) - said.keys()
        return said

    return found


def test_without_a_label_everything_but_health_waits(lacking):
    assert lacking(lambda rows: rows) == {"rul": NO_LIFE, "mode": NO_CLASSES, "bearing": NO_CLASSES}


def worn(rows: pd.DataFrame, machines: list[str]) -> pd.DataFrame:
    """Rows of these machines wear; others have no label."""
    return rows.assign(fault_mode=np.where(rows["asset"].isin(machines), 1, FAULT_UNKNOWN))


def test_presumed_normal_is_presumed_healthy_so_that_faults_on_enough_machines_teach_an_axis(lacking):
    def half(rows: pd.DataFrame) -> pd.DataFrame:
        known = rows["asset"].isin(MACHINES[::2])
        labels = pd.Series(np.where(known & (rows["time"] > 15), 1, 0), rows.index)
        return rows.assign(fault_mode=labels, rul=np.where(known, 30 - rows["time"], np.nan))

    assert lacking(half) == {"bearing": NO_CLASSES}


def test_one_machine_teaches_nothing_that_could_be_judged(lacking):
    said = lacking(lambda rows: rows.assign(fault_mode=(rows["asset"] == MACHINES[0]).astype(int)))
    assert said["mode"].startswith("no labels")
    assert said["mode"] != NO_CLASSES


def test_a_class_without_another_teaches_nothing(lacking):
    assert lacking(lambda rows: worn(rows, MACHINES))["mode"] == NO_CLASSES


def test_a_twin_without_health_waits_for_nothing(lacking, tmp_path):
    alone = Twin.model_validate(
        {name: part for name, part in TWIN.model_dump().items() if name != "health"}
        | {"faults": tiny_twin().model_dump()["faults"]}
    )
    assert lacking(lambda rows: rows.assign(fault_mode=0, rul=30 - rows["time"]), alone) == {}
    assert not (Paths(tmp_path, TWIN.name).windows / FILE).exists()


def test_the_reasons_are_kept_as_json(lacking, tmp_path):
    said = lacking(lambda rows: rows)
    assert json.loads((Paths(tmp_path, TWIN.name).windows / FILE).read_text()) == said
