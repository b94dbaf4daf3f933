"""Records of the pipeline are JSON that any reader accepts, and one function writes them."""

import json
import math
import re
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from foretwin.project.json import strict_json

ROOT = Path(__file__).parents[2]
NUMBERS = st.floats() | st.integers() | st.floats(width=32).map(np.float32)
VALUES = st.recursive(
    NUMBERS | st.none() | st.booleans() | st.text(),
    lambda part: st.lists(part) | st.dictionaries(st.text(), part) | st.tuples(part, part),
)


def refused(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@given(VALUES)
def test_whatever_a_stage_says_is_json_and_what_is_no_number_is_null(value):
    read = json.loads(strict_json(value), parse_constant=refused)
    if isinstance(value, float):
        assert read == (value if math.isfinite(value) else None)


def test_no_stage_writes_json_by_itself():
    """Records for people and other programs; what only this code reads again has digests of its own."""
    rooms = ("champion", "dataset", "evaluation", "gate", "physics", "registry", "validation")
    files = [path for room in rooms for path in (ROOT / "src/foretwin" / room).rglob("*.py")]
    for path in [*files, *(ROOT / "pipelines").glob("*.py")]:
        assert not re.search(r"write_text\((?!strict_json)(json\.)?\w*dumps\(", path.read_text()), path
