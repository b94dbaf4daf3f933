"""Forms with a file, as browsers send them: bounded before anything of them is read."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from foretwin.serving.http.body import bounded_body
from foretwin.twin.console.inner_calls import Refused

MULTIPART = "multipart/form-data"
LARGEST_FORM = 64 * 1024  # without a file
LARGEST_UPLOAD = 16 * 1024 * 1024
MOST_FIELDS = 60


@dataclass(frozen=True)
class Upload:
    """The one file of a form: what the browser calls it, its type, its content."""

    name: str
    kind: str
    content: bytes


def is_upload(request: Request) -> bool:
    """Whether a form comes with a file."""
    return request.headers.get("content-type", "").lower().startswith(MULTIPART)


async def read_form(request: Request) -> dict[str, str]:
    """Return the values of a form without a file; of several of one name the last."""
    body = await bounded_body(request, LARGEST_FORM, "write less into the form")
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


async def read_upload(request: Request) -> tuple[dict[str, str], Upload | None]:
    """Return the form's values and its file, which may be missing; Refused where it cannot be read."""
    body = await bounded_body(request, LARGEST_UPLOAD, "send a smaller file")

    async def stream() -> AsyncIterator[bytes]:
        yield body

    bounds = {"max_files": 1, "max_fields": MOST_FIELDS, "max_part_size": LARGEST_FORM}
    try:
        form = await MultiPartParser(request.headers, stream(), **bounds).parse()  # type: ignore[arg-type]
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        raise Refused(400, "form", f"cannot be read: {error}") from None
    values = {name: value for name, value in form.items() if isinstance(value, str)}
    files = [value for value in form.values() if isinstance(value, UploadFile)]
    found = None
    if files and files[0].filename:
        found = Upload(files[0].filename, files[0].content_type or "", await files[0].read())
    await form.close()
    return values, found
