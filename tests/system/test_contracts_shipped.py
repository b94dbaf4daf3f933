"""The contracts that come with the project hold together, and what their policies promise can be kept."""

from pathlib import Path

import pytest

from foretwin.contract.twin import Remedy, Twin, load_twin
from foretwin.project.params import load_params

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path.parent.name for path in ROOT.glob("data/*/twin.yaml"))
WITH_RUL = [name for name in SHIPPED if load_twin(ROOT / "data" / name / "twin.yaml").rul]


def remedies(twin: Twin) -> dict[str, Remedy]:
    """Every fault's remedy, and the one of a machine near its end."""
    found = {f"{axis}.{name}": twin.faults[axis].classes[name] for axis in twin.axes for name in twin.classes(axis)[1:]}
    return found | ({"rul": twin.rul.remedy} if twin.rul else {})


@pytest.fixture(params=SHIPPED)
def twin(request) -> Twin:
    return load_twin(ROOT / "data" / request.param / "twin.yaml")


def test_the_known_machines_are_shipped():
    assert {"cmapss-fd001", "cmapss-fd002", "cmapss-fd003", "cmapss-fd004", "hydraulic", "pump"} <= set(SHIPPED)


def test_params_list_only_twins_that_have_a_contract():
    assert set(load_params(ROOT / "params.yaml").twins) <= set(SHIPPED)


def test_every_fault_has_a_part_an_instruction_and_a_skill(twin):
    found = remedies(twin)
    assert found
    for name, remedy in found.items():
        assert remedy.part.strip(), name
        assert len(remedy.instruction.split()) >= 3, f"{name}: {remedy.instruction!r} is no instruction"
        assert remedy.instruction.endswith("."), name
        assert remedy.skills, name


def test_faults_of_one_machine_are_told_apart_by_their_instructions(twin):
    for axis in twin.axes:
        instructions = [remedy.instruction for name, remedy in remedies(twin).items() if name.startswith(f"{axis}.")]
        assert len(set(instructions)) == len(instructions)


def test_every_channel_says_what_it_is(twin):
    for name, channel in twin.channels.items():
        assert channel.unit.strip(), name
        assert channel.unit != "?", name
        assert channel.description.strip(), name
    assert any(channel.role == "sensor" for channel in twin.channels.values())


@pytest.mark.parametrize("twin", WITH_RUL, indirect=True)
def test_a_case_opens_early_enough_for_the_part_to_arrive(twin):
    longest = max(remedy.lead_time for remedy in remedies(twin).values())
    assert twin.cases.open_below is not None
    assert longest <= twin.cases.open_below < twin.cases.close_above <= twin.rul.cap


def test_data_that_passes_the_quality_rules_can_be_scored(twin):
    assert twin.window.shortest <= twin.quality.min_run_rows


def test_labels_that_the_twin_learns_from_are_asked_for(twin):
    assert (twin.quality.min_known_rul > 0) == (twin.rul is not None)
    assert (twin.quality.min_failures > 0) == (twin.rul is not None)
    assert not twin.axes or twin.quality.min_known_faults > 0


def test_no_two_contracts_are_alike():
    digests = {load_twin(ROOT / "data" / name / "twin.yaml").digest for name in SHIPPED}
    assert len(digests) == len(SHIPPED)
