import pytest

from foretwin.errors import ParamsError
from foretwin.serving.http.limits import Limits


def test_limits_come_from_the_environment_and_have_defaults():
    assert Limits.from_env({}) == Limits(8 * 1024 * 1024, 100_000)
    assert Limits.from_env({"FORETWIN_MAX_BODY_BYTES": "10", "FORETWIN_MAX_ROWS": "20"}) == Limits(10, 20)


@pytest.mark.parametrize("value", ["", "0", "-5", "many", "1.5", "9" * 30])
def test_a_limit_that_is_no_positive_integer_is_refused(value):
    with pytest.raises(ParamsError, match="FORETWIN_MAX_ROWS"):
        Limits.from_env({"FORETWIN_MAX_ROWS": value})
