"""Names of assets: two that look alike are one, and none leads out of its folder, topic or line."""

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretwin.errors import BadInput
from foretwin.serving.scoring.schemas import NAME
from foretwin.wire.asset_names import check_name, is_name

INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
visible = st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="/+#"), min_size=1, max_size=20)


MISLEADING = [".", "..", "", " ", "\u3000", " P-1", "P-1 ", "P-1\u00a0", "\u200bP-1", "P\u202e1", "P-1\ufeff", "\u3164"]
WRITTEN = [
    "...",
    ".5",
    "a..b",
    "P 1",
    "Pumpe 4 (Süd)",
    "ポンプ\u30001号",
    "مضخة",
    "पंप",
    "펌프",
    "é",
    "e\u0301",
    "⚙",
    "🛠",
]


@pytest.mark.parametrize("name", MISLEADING)
def test_what_misleads_is_no_name(name):
    assert not is_name(name)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_people_write_is_one(name):
    assert check_name(name) == name


def test_no_character_of_the_invisible_categories_is_in_a_name():
    found = [chr(i) for i in range(sys.maxunicode + 1) if unicodedata.category(chr(i)) in INVISIBLE]
    assert len(found) > 200
    assert [f"{ord(c):x}" for c in found if is_name(f"a{c}b") or is_name(c)] == []


@given(visible.filter(is_name), st.sampled_from([c for c in map(chr, range(0x3100)) if c.isspace()]))
def test_no_name_begins_or_ends_with_a_space(name, space):
    assert not is_name(space + name)
    assert not is_name(name + space)


@given(st.text(max_size=12))
def test_the_schema_of_the_services_says_the_same(name):
    matches = re.fullmatch(NAME["pattern"], name) is not None and NAME["minLength"] <= len(name) <= NAME["maxLength"]
    assert matches == is_name(name)


def test_what_is_refused_is_shown_without_what_cannot_be_seen():
    with pytest.raises(BadInput, match=r'is "P\\u202e1", a text') as refusal:
        check_name("P\u202e1")
    assert str(refusal.value).isprintable()
