"""Digests are stored and compared, so their values must stay: those of `sha256sum`."""

import subprocess

import pytest

from foretwin.project.digests import file_digest, file_digests, json_digest, path_digest, text_digest

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in" / "side").mkdir(parents=True)
    (tmp_path / "in" / "side" / "abc").write_text("abc")
    (tmp_path / "in" / "z.txt").write_text("z")
    return tmp_path / "in"


def sha256sum(text: str) -> str:
    return subprocess.run("sha256sum", input=text.encode(), capture_output=True, check=True).stdout.decode().split()[0]


def test_a_text_and_a_file_of_it_have_one_digest(folder):
    assert text_digest("abc") == file_digest(folder / "side" / "abc") == path_digest(folder / "side" / "abc") == ABC
    assert text_digest("Prüfstand") == sha256sum("Prüfstand")


def test_json_has_one_digest_whatever_the_order_of_its_keys():
    assert json_digest({"b": [1, None], "a": 2.5}) == sha256sum('{"a": 2.5, "b": [1, null]}')
    assert json_digest({"a": 2.5, "b": [1, None]}) == json_digest({"b": [1, None], "a": 2.5})


def test_a_folder_is_the_digests_of_its_files_by_place(folder):
    assert file_digests(folder) == {"side/abc": ABC, "z.txt": text_digest("z")}
    assert list(file_digests(folder)) == ["side/abc", "z.txt"]
    assert path_digest(folder) == sha256sum(f"side/abc {ABC}\nz.txt {text_digest('z')}")


def test_a_file_that_moves_within_a_folder_changes_its_digest(folder):
    before = path_digest(folder)
    (folder / "z.txt").rename(folder / "side" / "z.txt")
    assert path_digest(folder) != before
