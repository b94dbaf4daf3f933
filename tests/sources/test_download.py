import hashlib
import http.server
import os
import re
import subprocess
import sys
import textwrap
import threading
import zipfile
from pathlib import Path

import pytest

from foretwin.errors import DigestError, SourceError
from foretwin.sources.download import Archive, check_digest, local_copy, obtain, unpack

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Publisher(http.server.BaseHTTPRequestHandler):
    """Serves `server.content`; stops after `server.stop_after` bytes; knows Range unless `server.ranges` is False."""

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Range"))
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and self.server.ranges else 0
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(self.server.content) - 1}/{len(self.server.content)}"
            )
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.stop_after])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def publisher():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    server.content, server.stop_after, server.ranges, server.asked = CONTENT, None, True, []
    server.handle_error = lambda *_: None  # a client that hangs up early is what some tests want
    server.url = f"http://127.0.0.1:{server.server_port}/archive.zip"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_datasets(monkeypatch):
    monkeypatch.delenv("FORETWIN_DATASETS", raising=False)


def archive(url: str | None, content: bytes = CONTENT, **changes) -> Archive:
    facts = {"name": "archive.zip", "folder": "maker", "size": len(content), "url": url}
    return Archive(**(facts | {"sha256": hashlib.sha256(content).hexdigest()} | changes))


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_download_is_kept_and_not_asked_for_again(publisher, tmp_path):
    first = obtain(archive(publisher.url), tmp_path)
    again = obtain(archive(publisher.url), tmp_path)

    assert first.read_bytes() == CONTENT
    assert again == first
    assert publisher.asked == [None]
    assert [path.name for path in tmp_path.iterdir()] == ["archive.zip"]


def test_an_interrupted_download_goes_on_where_it_stopped(publisher, tmp_path):
    publisher.stop_after = 300_000
    with pytest.raises(SourceError, match=r"after 300000 of 1048576 bytes; run again"):
        obtain(archive(publisher.url), tmp_path)
    publisher.stop_after = None

    assert obtain(archive(publisher.url), tmp_path).read_bytes() == CONTENT
    assert publisher.asked == [None, "bytes=300000-"]


def test_a_server_without_ranges_is_read_from_the_start(publisher, tmp_path):
    (tmp_path / "archive.zip.part").write_bytes(CONTENT[:1000])
    publisher.ranges = False

    assert obtain(archive(publisher.url), tmp_path).read_bytes() == CONTENT


def test_a_longer_leftover_is_dropped(publisher, tmp_path):
    (tmp_path / "archive.zip.part").write_bytes(CONTENT + b"more")

    assert obtain(archive(publisher.url), tmp_path).read_bytes() == CONTENT
    assert publisher.asked == [None]


def test_a_wrong_download_names_both_digests_and_is_deleted(publisher, tmp_path):
    publisher.content = b"x" + CONTENT[1:]
    with pytest.raises(DigestError) as caught:
        obtain(archive(publisher.url), tmp_path)

    assert sha256(CONTENT) in str(caught.value)
    assert sha256(publisher.content) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_kept_download_that_changed_on_disk_is_refused_and_deleted(publisher, tmp_path):
    obtain(archive(publisher.url), tmp_path).write_bytes(b"altered")
    with pytest.raises(DigestError, match="run again"):
        obtain(archive(publisher.url), tmp_path)

    assert obtain(archive(publisher.url), tmp_path).read_bytes() == CONTENT


def test_a_server_that_sends_more_than_the_archive_is_cut_off(publisher, tmp_path):
    publisher.content = CONTENT * 8
    with pytest.raises(DigestError, match="more than the 1048576 bytes"):
        obtain(archive(publisher.url), tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_address_says_what_to_do(publisher, tmp_path):
    publisher.server_close()
    with pytest.raises(SourceError, match=r"no download: .*put archive.zip into \$FORETWIN_DATASETS/maker/"):
        obtain(archive(publisher.url), tmp_path)


def test_only_web_addresses_are_opened(tmp_path):
    secret = tmp_path / "file"
    secret.write_bytes(CONTENT)
    with pytest.raises(SourceError, match="not a web address"):
        obtain(archive(secret.as_uri()), tmp_path)


def test_a_local_copy_wins_over_the_network(tmp_path, monkeypatch):
    monkeypatch.setenv("FORETWIN_DATASETS", str(tmp_path))
    (tmp_path / "maker").mkdir()
    (tmp_path / "maker" / "archive.zip").write_bytes(CONTENT)

    assert obtain(archive(None), tmp_path / "work") == tmp_path / "maker" / "archive.zip"
    assert not (tmp_path / "work").exists()


def test_a_local_copy_with_other_bytes_is_refused_unless_hosts_repack_it(tmp_path, monkeypatch):
    monkeypatch.setenv("FORETWIN_DATASETS", str(tmp_path))
    (tmp_path / "maker").mkdir()
    (tmp_path / "maker" / "archive.zip").write_bytes(b"other")

    with pytest.raises(DigestError, match="replace it"):
        local_copy(archive(None))
    assert local_copy(archive(None, repacked=True)) is not None


def test_a_datasets_folder_that_does_not_exist_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("FORETWIN_DATASETS", str(tmp_path / "typo"))
    with pytest.raises(SourceError, match=r"FORETWIN_DATASETS: .*typo is not a folder"):
        obtain(archive("http://127.0.0.1:9/archive.zip"), tmp_path)


def test_members_are_found_by_base_name_and_checked(tmp_path):
    packed = zipped(tmp_path / "a.zip", **{"folder name/one.txt": b"one", "two.txt": b"two"})
    unpack(packed, {"one.txt": sha256(b"one")}, tmp_path)

    assert (tmp_path / "one.txt").read_bytes() == b"one"
    assert not (tmp_path / "two.txt").exists()


def test_a_git_blob_id_is_a_digest_too(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello\n")
    check_digest(tmp_path / "hello", "ce013625030ba8dba906f756967f9e9ca394464a", "")  # as `git hash-object` says

    with pytest.raises(DigestError):
        check_digest(tmp_path / "hello", "ce013625030ba8dba906f756967f9e9ca394464b", "")


def test_a_member_with_a_wrong_digest_is_not_kept(tmp_path):
    packed = zipped(tmp_path / "a.zip", **{"one.txt": b"one"})
    with pytest.raises(DigestError, match=r"one\.txt: expected digest 0+, found"):
        unpack(packed, {"one.txt": "0" * 64}, tmp_path)

    assert not (tmp_path / "one.txt").exists()


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/etc/outside.txt", "a/../../outside.txt", "..\\outside.txt", "C:x"]
)
def test_an_archive_with_a_member_outside_its_folder_is_refused_whole(tmp_path, name):
    packed = zipped(tmp_path / "a.zip", **{"one.txt": b"one", name: b"out"})
    (tmp_path / "out").mkdir()
    with pytest.raises(SourceError, match="points outside"):
        unpack(packed, {"one.txt": sha256(b"one"), "outside.txt": sha256(b"out")}, tmp_path / "out")

    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("keep", "reason"), [(0, "is empty"), (30, "damaged or truncated"), (-30, "damaged or truncated")]
)
def test_a_truncated_archive_is_one_line(tmp_path, keep, reason):
    packed = zipped(tmp_path / "a.zip", **{"one.txt": os.urandom(5000)})
    packed.write_bytes(packed.read_bytes()[:keep])
    with pytest.raises(SourceError, match=reason) as caught:
        unpack(packed, {"one.txt": sha256(b"one")}, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_damaged_member_is_refused(tmp_path):
    packed = zipped(tmp_path / "a.zip", **{"one.txt": os.urandom(5000)})
    content = bytearray(packed.read_bytes())
    content[2000] ^= 0xFF
    packed.write_bytes(content)
    with pytest.raises(SourceError, match="damaged"):
        unpack(packed, {"one.txt": sha256(b"one")}, tmp_path)


def test_a_missing_member_is_named(tmp_path):
    packed = zipped(tmp_path / "a.zip", **{"one.txt": b"one"})
    with pytest.raises(SourceError, match=r"no member two\.txt"):
        unpack(packed, {"two.txt": sha256(b"two")}, tmp_path)


def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path):
    packed = zipped(tmp_path / "a.zip", **{"one.txt": b"\0" * 3_000_000})
    script = tmp_path / "fetch.py"
    script.write_text(
        textwrap.dedent(f"""
        from pathlib import Path
        from foretwin.project.files import fresh
        from foretwin.project.entrypoint import exit_on_error
        from foretwin.sources.download import unpack

        raw = Path({str(tmp_path / "disk" / "raw")!r})
        raw.mkdir()
        (raw / "before").write_text("kept")
        try:
            with exit_on_error(), fresh(raw) as out:
                unpack(Path({str(packed)!r}), {{"one.txt": "0" * 64}}, out)
        finally:
            print(sorted(str(path.relative_to(raw.parent)) for path in raw.parent.rglob("*")))
        """)
    )
    (tmp_path / "disk").mkdir()
    mounted = f"mount -t tmpfs -o size=1m tmpfs {tmp_path}/disk"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mounted], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk in a namespace of its own")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f"{mounted} && {sys.executable} {script}"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == "['raw', 'raw/before']\n"
