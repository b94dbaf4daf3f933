"""Whether a source is as it was, told without reading it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from foretwin.project.fingerprint import file_state, is_unchanged, write_fingerprint


@pytest.fixture
def places(tmp_path) -> tuple[Path, Path, Path]:
    """A source, a folder that was made of it, and the record, written."""
    source, raw, record = tmp_path / "press.csv", tmp_path / "raw", tmp_path / "fetched.json"
    source.write_text("a,b\n1,2\n")
    raw.mkdir()
    shutil.copyfile(source, raw / "table.csv")
    write_fingerprint(record, file_state([source, tmp_path / "absent.zip"]), [raw, tmp_path / "history"])
    assert is_unchanged(record)
    return source, raw, record


def rewritten(source: Path, raw: Path) -> None:
    source.write_text("a,b\n1,3\n")


def same_size_and_time(source: Path, raw: Path) -> None:
    before = source.stat()
    (source.parent / "new.csv").write_text("a,b\n1,3\n")
    os.utime(source.parent / "new.csv", ns=(before.st_atime_ns, before.st_mtime_ns))
    (source.parent / "new.csv").replace(source)


def gone(source: Path, raw: Path) -> None:
    source.unlink()


def appeared(source: Path, raw: Path) -> None:
    (source.parent / "absent.zip").touch()


def raw_lost(source: Path, raw: Path) -> None:
    shutil.rmtree(raw)


def raw_more(source: Path, raw: Path) -> None:
    (raw / "another.csv").touch()


def history_exported(source: Path, raw: Path) -> None:
    (source.parent / "history").mkdir()


@pytest.mark.parametrize(
    "change", [rewritten, same_size_and_time, gone, appeared, raw_lost, raw_more, history_exported]
)
def test_any_change_is_noticed(places, change):
    source, raw, record = places
    change(source, raw)
    assert not is_unchanged(record)


def test_another_folder_of_archives_is_a_change(places, monkeypatch):
    monkeypatch.setenv("FORETWIN_DATASETS", "/elsewhere")
    assert not is_unchanged(places[2])


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"sources": {}}'])
def test_without_a_record_everything_is_changed(places, content):
    record = places[2]
    record.unlink()
    if content is not None:
        record.write_text(content)
    assert not is_unchanged(record)


def test_a_look_imports_the_standard_library_alone():
    code = (
        "import sys; from foretwin.project import fingerprint;"
        "print(sorted({'numpy', 'pandas', 'pydantic', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
