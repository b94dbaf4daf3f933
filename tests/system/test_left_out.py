"""What a test does where this machine lacks what it reads."""

import pytest

from support.archives import archives, leave_out

OUTCOMES = (pytest.skip.Exception, pytest.fail.Exception)  # one that is not expected would end this test, as skipped


@pytest.mark.parametrize("missing", ["CI", "FORETWIN_DATASETS"])
def test_elsewhere_than_in_ci_with_the_archives_it_is_skipped(missing, tmp_path, monkeypatch):
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("FORETWIN_DATASETS", str(tmp_path))
    monkeypatch.delenv(missing)
    with pytest.raises(OUTCOMES, match="the reports are not committed") as left:
        leave_out("the reports are not committed")
    assert left.type is pytest.skip.Exception


def test_in_ci_with_the_archives_it_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("FORETWIN_DATASETS", str(tmp_path))
    (tmp_path / "cmapss").mkdir()
    assert archives("cmapss") == tmp_path
    with pytest.raises(OUTCOMES, match="the official archives are not here") as left:
        archives("cmapss", "hydraulic")
    assert left.type is pytest.fail.Exception
