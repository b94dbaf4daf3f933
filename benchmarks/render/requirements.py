"""Write serving/twin/requirements.txt: the pins of what the processes of the living twin import, and of no more.

python -m benchmarks.render.requirements            write
python -m benchmarks.render.requirements --check    fail where the file and the installed libraries disagree
"""

import sys
from pathlib import Path

from benchmarks.render.pages import write_or_compare
from foretwin.project.entrypoint import exit_on_error
from foretwin.serving.packaging.libraries import REQUIREMENTS, closure, pinned

FILE = "serving/twin/requirements.txt"
TWIN = (  # what the living twin and its commands import besides the scoring service
    "alembic",
    "click",
    "httpx",
    "jinja2",
    "packaging",
    "paho-mqtt",
    "pillow",  # photos of cases
    "pint",  # units of tags
    "protobuf",  # payloads of Sparkplug
    "psycopg",
    "psycopg-binary",
    "python-multipart",
    "rich",
    "scipy",  # features of waveforms
    "segno",
    "sqlalchemy",
)


def render_requirements() -> str:
    """The file."""
    return pinned(closure((*REQUIREMENTS, *TWIN)))


def main(check: bool, root: Path = Path()) -> None:
    """Write the file, or only compare."""
    write_or_compare(root / FILE, render_requirements(), "the installed libraries", check)


if __name__ == "__main__":
    with exit_on_error():
        main(check="--check" in sys.argv[1:])
