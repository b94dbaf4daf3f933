"""twin.yaml: what loads, and that each complaint names the file, the line and the field."""

from pathlib import Path

import pytest

from foretwin.contract.twin import Twin, load_twin
from foretwin.errors import ContractError
from support.tiny_bundle import FAULTS, tiny_twin

TEXT = """\
# A press.
name: press
title: Press
source:
  kind: table
  path: press.csv
  asset: machine
  time: hour
  failure: failed
  columns: {oil: Oil temp}
  faults:
    mode: {column: Mode, values: {W: wear}}
clock:
  unit: h
  step: 1
channels:
  load: {unit: kN, role: setting, min: 0, max: 900}
  oil:
    unit: degC
    role: sensor
    min: -20
    max: 120
regimes:
  channels: [load]
  count: 2
rul:
  cap: 100
  remedy:
    part: ram seal
    instruction: replace the ram seal
    skills: [fitter]
    lead_time: 24
faults:
  mode:
    title: Mode
    classes:
      healthy: null
      wear: {part: seal, instruction: replace it, lead_time: 8}
window:
  length: 10
quality:
  may_be_constant: [load]
cases:
  open_below: 30
  close_above: 45
"""


def line_of(text: str, part: str) -> int:
    """The line, from 1, where the first `part` begins."""
    return text[: text.index(part)].count("\n") + 1


@pytest.fixture
def contract_file(tmp_path):
    """Write a text, or bytes, as the contract of the twin `press`."""

    def write(text: str | bytes, folder: str = "press") -> Path:
        path = tmp_path / "data" / folder / "twin.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_contract_keeps_the_order_of_its_channels_axes_and_classes(contract_file):
    twin = load_twin(contract_file(TEXT))
    assert twin.channel_names == ("load", "oil")
    assert twin.axes == ("mode",)
    assert twin.classes("mode") == ("healthy", "wear")
    assert twin.source.kind == "table"
    assert twin.rul.remedy.skills == ("fitter",)


def test_a_contract_cannot_be_changed(contract_file):
    twin = load_twin(contract_file(TEXT))
    with pytest.raises(ValueError, match="frozen"):
        twin.title = "Other"


@pytest.mark.parametrize(
    ("old", "new", "line", "complaint"),
    [
        # a typo, as a leaf, as a whole block, and deep inside
        ("title: Press", "titel: Press", "titel", "titel: unknown field, perhaps a typo"),
        ("\nwindow:\n", "\nwindows:\n", "windows:", "windows: unknown field, perhaps a typo"),
        ("    lead_time: 24", "    lead_tme: 24", "lead_tme", "rul.remedy.lead_tme: unknown field, perhaps a typo"),
        # what is not there
        ("title: Press\n", "", "name:", "title: Field required"),
        ("    part: ram seal\n", "", "remedy:", "rul.remedy.part: Field required"),
        # values
        ("    min: -20", "    min: cold", "min: cold", "channels.oil.min: Input should be a valid number"),
        ("    min: -20", "    min: .nan", "min: .nan", "channels.oil.min: Input should be a finite number"),
        ("    min: -20", "    min: 120", "oil:\n", "channels.oil: min 120 must be below max 120"),
        ("role: setting", "role: input", "role: input", "channels.load.role: Input should be 'setting' or 'sensor'"),
        (
            "lead_time: 8}",
            "lead_time: -8}",
            "lead_time: -8",
            "faults.mode.classes.wear.lead_time: Input should be greater",
        ),
        ("channels: [load]", "channels: [load, 7]", "[load, 7]", "regimes.channels.1: Input should be a valid string"),
        ("  step: 1", "  step: 0", "step: 0", "clock.step: Input should be greater than 0"),
        ("  length: 10", "  length: 10\n  shortest: 11", "window:", "window: shortest 11 must not exceed length 10"),
        ("open_below: 30", "open_below: 60", "cases:", "cases: close_above must exceed open_below"),
        ("  close_above: 45\n", "", "cases:", "cases: open_below and close_above belong together"),
        (
            "open_below: 30",
            "open_probability: 0.4",
            "cases:",
            "cases: close_probability must be below open_probability",
        ),
        ("  load: {", "  Load: {", "Load:", "channels.Load: String should match pattern"),
        # the source, which is one of several kinds
        ("  asset: machine\n", "", "source:", "source: asset: which machine a row is of must be said once"),
        ("  asset: machine", "  aset: machine", "aset", "source.aset: unknown field, perhaps a typo"),
        ("  path: press.csv", "  path: [1]", "path: [1]", "source.path: Input should be a valid string"),
        ("kind: table", "kind: tables", "source:", "source: Input tag 'tables' found using 'kind' does not match"),
        ("  kind: table\n", "", "source:", "source: Unable to extract tag using discriminator 'kind'"),
        ("{W: wear}", "{W: Wear}", "W: Wear", "source.faults.mode.values.W: String should match pattern"),
        # a class without what its repair needs
        (
            "      healthy: null",
            "      healthy: {part: p, instruction: i, lead_time: 1}",
            "mode:\n    title",
            "no remedy",
        ),
        (
            "wear: {part: seal, instruction: replace it, lead_time: 8}",
            "wear: null",
            "mode:\n    title",
            "class wear has no remedy",
        ),
        (
            "      wear: {part",
            "      unknown: {part",
            "mode:\n    title",
            "class unknown is reserved",
        ),
        ("      healthy: null", "      7: null", "7: null", "faults.mode.classes.7: Input should be a valid string"),
        ("    min: -20", "    min: yes", "min: yes", "channels.oil.min: Input should be a valid number"),
        ("    min: -20", "    min: 1:30", "min: 1:30", "channels.oil.min: Input should be a valid number"),
        ("title: Press", "title: 2026-11-28", "title:", "title: Input should be a valid string"),
    ],
)
def test_a_wrong_field_is_named_with_its_file_line_and_reason(contract_file, old, new, line, complaint):
    assert TEXT.count(old) == 1
    text = TEXT.replace(old, new)
    path = contract_file(text)
    with pytest.raises(ContractError) as error:
        load_twin(path)
    message = str(error.value)
    assert complaint in message
    assert "\n" not in message
    assert message.startswith(f"{path}:{line_of(text, line)}: ")


def test_a_typo_is_named_before_the_field_that_is_missing_because_of_it(contract_file):
    with pytest.raises(ContractError, match=r"clok: unknown field, perhaps a typo \(and 1 more\)$"):
        load_twin(contract_file(TEXT.replace("clock:", "clok:")))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("channels: [load]", "channels: [oil]", "regimes: oil is not a channel with role `setting`"),
        ("may_be_constant: [load]", "may_be_constant: [speed]", "quality.may_be_constant: speed is not a channel"),
        ("{oil: Oil temp}", "{oli: Oil temp}", "source.columns: oli is not a channel"),
        ("{W: wear}", "{W: worn}", "source.faults.mode: worn is not a class of the axis"),
        ("    mode: {column", "    modes: {column", "source.faults: modes is not a fault axis"),
        ("  load: {", "  time: {unit: h, role: sensor, min: 0, max: 1}\n  load: {", "channel name time is reserved"),
        (
            "  load: {",
            "  subset: {unit: h, role: sensor, min: 0, max: 1}\n  load: {",
            "channel name subset is reserved",
        ),
        ("  load: {", "  fault_mode: {unit: h, role: sensor, min: 0, max: 1}\n  load: {", "fault_mode is reserved"),
    ],
)
def test_parts_that_contradict_each_other_are_refused(contract_file, old, new, complaint):
    assert TEXT.count(old) == 1
    with pytest.raises(ContractError, match=complaint):
        load_twin(contract_file(TEXT.replace(old, new)))


def test_a_twin_with_nothing_to_predict_is_refused(contract_file):
    start, end = TEXT.index("rul:\n"), TEXT.index("window:\n")
    text = TEXT[:start] + TEXT[end:]
    text = text.replace("  faults:\n    mode: {column: Mode, values: {W: wear}}\n", "")
    with pytest.raises(ContractError, match="add `rul`, `faults` or `health`"):
        load_twin(contract_file(text))


def test_two_axes_that_would_answer_in_one_column_are_refused():
    remedy = {"part": "P", "instruction": "i", "lead_time": 1}
    axes = {
        "oil": {"title": "Oil", "classes": {"fine": None, "pump_low": remedy}},
        "oil_pump": {"title": "Oil pump", "classes": {"fine": None, "low": remedy}},
    }
    with pytest.raises(ValueError, match="column p_oil_pump_low"):
        Twin.model_validate({**tiny_twin().model_dump(), "faults": axes})


@pytest.mark.parametrize("name", ["asset", "time", "rows", "rul", "rul_high", "warnings", "p_mode_wear"])
def test_an_axis_that_would_answer_in_another_column_of_the_scores_is_refused(name):
    axes = {"mode": FAULTS["mode"], name: FAULTS["bearing"]}
    with pytest.raises(ValueError, match=f"fault axis {name} "):
        Twin.model_validate({**tiny_twin().model_dump(), "faults": axes})


@pytest.mark.parametrize(
    ("part", "again", "line"),
    [
        ("  step: 1", "  step: 1\n  unit: d", 16),
        ("  load: {", "  oil: {unit: bar, role: sensor, min: 0, max: 1}\n  load: {", 19),
        ("{oil: Oil temp}", "{oil: Oil temp, oil: Temp}", 10),
    ],
)
def test_a_key_that_stands_twice_is_refused_at_its_second_line(contract_file, part, again, line):
    path = contract_file(TEXT.replace(part, again))
    with pytest.raises(ContractError, match=rf"^{path}:{line}: (unit|oil): stands twice"):
        load_twin(path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: press\ntitle: [Press\nsource:\n", ":3: not YAML: "),
        ("name: press\n\ttitle: Press\n", ":2: not YAML: "),
        (b"name: press\ntitle: Pre\xdfe\n", ": not YAML: 'utf-8' codec can't decode"),
        ("name: \0\n", ": not YAML: unacceptable character #x0000"),
        ("name: press\nstep: 2024-13-45\n", ": not YAML: month must be in 1..12"),
        ("name: !!python/object:os.system {}\n", ":1: not YAML: could not determine a constructor"),
        ("name: press\n---\nname: other\n", ":2: not YAML: but found another document"),
        ("", ":1: contract: Input should be a valid dictionary"),
        ("- name: press\n", ":1: contract: Input should be a valid dictionary"),
    ],
)
def test_what_is_not_yaml_or_no_mapping_is_one_line(contract_file, text, complaint):
    path = contract_file(text)
    with pytest.raises(ContractError) as error:
        load_twin(path)
    assert str(error.value).startswith(f"{path}{complaint}")
    assert "\n" not in str(error.value)


def test_yes_and_no_are_words_and_switches_where_one_is_wanted(contract_file):
    text = TEXT.replace("title: Press", "title: no").replace("      healthy: null", "      off: null")
    text = text.replace("{W: wear}", "{yes: wear}").replace("  path:", "  runs_end_in_failure: no\n  path:")
    twin = load_twin(contract_file(text))
    assert (twin.title, twin.classes("mode")) == ("no", ("off", "wear"))
    assert twin.source.faults["mode"].values == {"yes": "wear"}
    assert twin.source.runs_end_in_failure is False


@pytest.mark.parametrize("number", ["017", "-012", "0_10"])
def test_a_number_that_versions_of_yaml_read_differently_is_refused(contract_file, number):
    text = TEXT.replace("    min: -20", f"    min: {number}")
    with pytest.raises(ContractError, match=rf":{line_of(text, number)}: not YAML: {number}: is octal in YAML 1.1"):
        load_twin(contract_file(text))


@pytest.mark.parametrize(("number", "value"), [("0", 0), ("-0.5", -0.5), ("00", 0), ("1e1", 10), ("0x0A", 10)])
def test_other_numbers_mean_what_they_meant(contract_file, number, value):
    assert load_twin(contract_file(TEXT.replace("    min: -20", f"    min: {number}"))).channels["oil"].min == value


def test_an_anchor_stands_for_what_it_names(contract_file):
    text = TEXT.replace("    unit: degC\n", "    unit: &unit bar\n") + "description: *unit\n"
    assert load_twin(contract_file(text)).description == "bar"


def test_a_bomb_of_aliases_is_refused_at_once(contract_file):
    lines = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30))]
    with pytest.raises(ContractError, match="unknown field"):
        load_twin(contract_file(TEXT + "\n".join(lines) + "\n"))


def test_a_yaml_alias_that_holds_itself_is_refused_and_does_not_hang(contract_file):
    with pytest.raises(ContractError, match="unknown field"):
        load_twin(contract_file("a: &a [*a]\nb: &b {c: *b}\n"))


def test_a_missing_contract_says_how_to_make_one(tmp_path):
    with pytest.raises(ContractError, match=rf"^{tmp_path}/data/mill/twin.yaml: no such contract; run `foretwin new"):
        load_twin(tmp_path / "data" / "mill" / "twin.yaml")


def test_a_contract_must_stand_in_the_folder_of_its_name(contract_file):
    with pytest.raises(ContractError, match="name: is press, but its folder is mill"):
        load_twin(contract_file(TEXT, folder="mill"))


def test_the_digest_follows_the_content_and_not_the_layout(contract_file):
    digest = load_twin(contract_file(TEXT)).digest
    other_layout = TEXT.replace("# A press.\n", "").replace("  step: 1\n", "  step: 1.0  # hourly\n")
    assert load_twin(contract_file(other_layout)).digest == digest
    assert load_twin(contract_file(TEXT.replace("cap: 100", "cap: 101"))).digest != digest


def test_how_a_run_begins_is_no_part_of_what_a_model_was_trained_under(contract_file):
    said = load_twin(contract_file(TEXT + "runs:\n  begin_by: readings\n"))
    assert said.runs.begin_by == "readings"
    assert load_twin(contract_file(TEXT)).runs.begin_by == "orders"
    assert said.digest == load_twin(contract_file(TEXT)).digest
    with pytest.raises(ContractError, match=r"runs\.begin_by"):
        load_twin(contract_file(TEXT + "runs:\n  begin_by: messages\n"))


def test_the_order_of_channels_is_part_of_the_content(contract_file):
    load = "  load: {unit: kN, role: setting, min: 0, max: 900}\n"
    swapped = TEXT.replace(load, "").replace("regimes:\n", load + "regimes:\n")
    assert load_twin(contract_file(swapped)).channel_names == ("oil", "load")
    assert load_twin(contract_file(swapped)).digest != load_twin(contract_file(TEXT)).digest


def test_a_contract_comes_back_from_its_json(contract_file):
    twin = load_twin(contract_file(TEXT))
    assert Twin.model_validate_json(twin.model_dump_json()) == twin
