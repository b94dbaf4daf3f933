"""Files that are their owner's alone, whatever the umask says."""

import os
from contextlib import contextmanager

import pytest

from foretwin.project.files import fresh_file, make_private


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def rights(path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_a_new_file_is_its_owners_alone(tmp_path, mask):
    with umask(mask):
        make_private(tmp_path / "new")
        with fresh_file(tmp_path / "whole", private=True) as out:
            assert rights(out) == 0o600
            out.write_text("x")
    assert (rights(tmp_path / "new"), rights(tmp_path / "whole")) == (0o600, 0o600)


@pytest.mark.parametrize(
    ("before", "after"),
    [(0o644, 0o600), (0o604, 0o600), (0o664, 0o660), (0o666, 0o660), (0o640, 0o640), (0o660, 0o660), (0o600, 0o600)],
)
def test_one_that_everybody_may_read_is_repaired_and_a_groups_is_left(tmp_path, before, after):
    (tmp_path / "old").write_text("kept")
    (tmp_path / "old").chmod(before)
    make_private(tmp_path / "old")
    assert (rights(tmp_path / "old"), (tmp_path / "old").read_text()) == (after, "kept")
