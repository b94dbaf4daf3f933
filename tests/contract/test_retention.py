"""How long what is kept: defaults, refusals, and that no model's contract depends on it."""

import pytest
import yaml
from pydantic import ValidationError

from foretwin.contract.retention import FOREVER, Retention, length_of
from foretwin.contract.twin import Twin, load_twin
from foretwin.errors import ContractError
from support.tiny_bundle import tiny_twin

TWIN = tiny_twin()


def test_a_contract_s_digest_does_not_depend_on_its_retention():
    other = TWIN.model_copy(update={"retention": Retention(readings=FOREVER, audit=7)})
    assert other.digest == TWIN.digest
    assert Twin.model_validate_json(other.model_dump_json()) == TWIN


def test_what_is_dropped_is_said_in_words():
    assert "readings after 30 days" in str(Retention())
    names = ("readings", "events", "quarantine", "audit")
    kept = dict.fromkeys(names, FOREVER) | {"scores": {"days": FOREVER, "keep": "all"}}
    assert str(Retention.model_validate(kept)) == "everything is kept"
    assert length_of(FOREVER) is None


@pytest.mark.parametrize(
    "wrong", [{"readings": 0}, {"readings": "never"}, {"scores": {"keep": "some"}}, {"reading": 3}]
)
def test_what_is_no_term_is_refused(wrong):
    with pytest.raises(ValidationError):
        Retention.model_validate(wrong)


def test_a_wrong_term_is_refused_with_its_line(tmp_path):
    path = tmp_path / "twin.yaml"
    content = TWIN.model_dump(mode="json", exclude_none=True) | {"retention": {"events": -1}}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(ContractError, match=r"twin.yaml:\d+: retention.events"):
        load_twin(path)
