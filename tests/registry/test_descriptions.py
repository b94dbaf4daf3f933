"""What a registered version's page says by itself."""

import re

import pytest

from foretwin.registry.descriptions import LONGEST_REASONS, publish_verdict
from support.registry_project import Project

pytest_plugins = ["support.registry_project"]


def page(project: Project, version: str) -> tuple[str, dict[str, str]]:
    found = project.client.get_model_version("foretwin-pump", version)
    return found.description, found.tags


@pytest.fixture
def refused(promoted: Project) -> Project:
    """A project whose second version was refused beside the champion."""
    promoted.train(2, 12)
    assert not promoted.promote()["promoted"]
    return promoted


def test_the_champion_s_page_says_why_it_is_champion(promoted):
    text, tags = page(promoted, "1")
    assert text.startswith("**Promoted** on ")
    assert " UTC as the first champion." in text.splitlines()[0]
    verdict = promoted.promote()
    assert verdict["checks"]
    assert all(f"* passed ({check['name']}): {check['sentence']}" in text for check in verdict["checks"])
    assert f"| **version 1** | {verdict['candidate']['rul_rmse']:.4g} | " in text
    assert f"| constant | {verdict['baselines']['constant']['rul_rmse']:.4g} | " in text
    assert "* commit `" + "c" * 40 + "`" in text
    assert "`card.html`" in text
    assert 'load_model("models:/foretwin-pump/1")' in text
    assert "foretwin rollback pump" in text
    assert tags["foretwin.gate"] == "promoted"
    assert tags["foretwin.commit"] == "c" * 40
    assert tags["foretwin.champion_before"] == "none"
    assert tags["foretwin.reasons"] == "; ".join(verdict["reasons"])
    assert tags["foretwin.decided_at"][:4].isdigit()


def test_a_refused_version_s_page_names_the_failed_checks_first_and_who_stays(refused):
    text, tags = page(refused, "2")
    assert text.startswith("**Refused** on ")
    assert text.splitlines()[0].endswith(": version 1 stays the champion.")
    checks = [line for line in text.splitlines() if line.startswith("* ")]
    assert checks[0].startswith("* **failed** (")
    assert re.search(r"^\| champion before, version 1 \| [0-9.]+ \| [0-9.]+ \|$", text, re.MULTILINE)
    assert (tags["foretwin.gate"], tags["foretwin.champion_before"]) == ("refused", "version 1")


def test_the_model_s_own_page_says_what_it_is_and_which_alias_serves(promoted):
    text = promoted.client.get_registered_model("foretwin-pump").description
    assert text.startswith("**Tiny pump**")
    assert "Mode (healthy, wear, leak); Bearing (good, worn)" in text
    assert "The alias `champion` names the version that answers" in text


def test_what_a_roll_back_wrote_stays_until_there_is_another_verdict(refused):
    verdict = refused.promote()
    client = refused.client
    client.update_model_version("foretwin-pump", "2", "**Rolled back**")
    client.set_model_version_tag("foretwin-pump", "2", "foretwin.gate", "rolled_back")
    publish_verdict(client, refused.paths, verdict["run"], "2", verdict)
    text, tags = page(refused, "2")
    assert (text, tags["foretwin.gate"]) == ("**Rolled back**", "rolled_back")
    publish_verdict(client, refused.paths, verdict["run"], "2", {**verdict, "forced": "the sensor was exchanged"})
    text, tags = page(refused, "2")
    assert "**Promoted by force** on" in text
    assert "although the gate refused it: the sensor was exchanged" in text
    assert tags["foretwin.gate"] == "forced"


def test_reasons_that_are_too_long_for_a_tag_are_cut_there_and_whole_on_the_page(refused):
    verdict = refused.promote()
    long = [f"reason {number} of many" for number in range(1000)]
    checks = [{"name": "slices", "passed": False, "sentence": reason} for reason in long]
    publish_verdict(refused.client, refused.paths, verdict["run"], "2", {**verdict, "reasons": long, "checks": checks})
    text, tags = page(refused, "2")
    assert len(tags["foretwin.reasons"]) <= LONGEST_REASONS
    assert tags["foretwin.reasons"].endswith(" …")
    assert all(reason in text for reason in long)
