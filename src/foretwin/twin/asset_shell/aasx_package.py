"""AASX: a package after the Open Packaging Conventions (ECMA-376-2) with the environment as JSON in it.

JSON, since it is the same in AAS 3.0 and 3.1, while readers of XML ask for the namespace of the one that they know.

Relationship types as Part 5 of the specification of the asset administration shell names them.
"""

import io
import zipfile
from datetime import UTC, datetime

ORIGIN = "http://admin-shell.io/aasx/relationships/aasx-origin"
SPECIFICATION = "http://admin-shell.io/aasx/relationships/aas-spec"
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
CONTENT_TYPES = (
    f'{XML}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="json" ContentType="application/json"/>'
    '<Override PartName="/aasx/aasx-origin" ContentType="text/plain"/></Types>'
)


def pack_aasx(environment: bytes, now: datetime) -> bytes:
    """Return the package of an environment in JSON; its files are dated with `now`."""
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": CONTENT_TYPES,
        "_rels/.rels": _relationship(ORIGIN, "/aasx/aasx-origin"),
        "aasx/aasx-origin": "Intentionally empty.",
        "aasx/_rels/aasx-origin.rels": _relationship(SPECIFICATION, "/aasx/data.json"),
        "aasx/data.json": environment,
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            info = zipfile.ZipInfo(name, now.astimezone(UTC).timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(info, content)
    return file.getvalue()


def _relationship(kind: str, target: str) -> str:
    one = f'<Relationship Type="{kind}" Target="{target}" Id="R1"/>'
    namespace = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'{XML}<Relationships xmlns="{namespace}">{one}</Relationships>'
