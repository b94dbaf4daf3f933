"""Files behind a URL: S3 by Arrow, all others by fsspec."""

import os
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any

from foretwin.errors import SourceError
from foretwin.sources.files.file_names import is_hidden, shown_path


def is_remote(path: str) -> bool:
    """Return whether a source's path is a URL."""
    return "://" in path


def download(url: str, folder: Path) -> Path:
    """Download a file, or all files below a folder or of a glob, into `folder`; return the file, or `folder`.

    SourceError where the URL cannot be read. Credentials are those of the environment (AWS_ACCESS_KEY_ID, ...).
    """
    shown = shown_path(url)
    try:
        system, path = filesystem(url)
        if not has_magic(path) and not system.isdir(path):
            target = folder / PurePosixPath(path).name
            system.get_file(path, str(target))
            return target
        names = system.glob(path) if has_magic(path) else system.find(path)
        base = os.path.commonpath([str(PurePosixPath(name).parent) for name in names]) if names else path
        for name in names:
            relative = PurePosixPath(name).relative_to(base)
            if is_hidden(relative.as_posix()) or system.isdir(name):
                continue
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            system.get_file(name, str(target))
    except FileNotFoundError:
        raise SourceError(f"{shown}: no such file; correct the path (source.path in twin.yaml)") from None
    except (OSError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise SourceError(f"{shown}: cannot be read ({reason}); correct source.path, or the credentials") from None
    return folder


def filesystem(url: str) -> tuple[Any, str]:
    """Return a file system of fsspec's kind, and the path in it; credentials are those of the environment."""
    from fsspec.core import url_to_fs

    if not url.startswith("s3://"):
        system, path = url_to_fs(url)
        return system, path
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import S3FileSystem

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return ArrowFSWrapper(S3FileSystem(endpoint_override=endpoint, region=region)), url.removeprefix("s3://")
