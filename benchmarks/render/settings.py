"""Write docs/settings.md from the registry of settings.

python -m benchmarks.render.settings            write
python -m benchmarks.render.settings --check    fail where the page and the registry disagree
"""

import sys
from pathlib import Path

from benchmarks.render.pages import write_or_compare
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.settings import SETTINGS, Setting

PAGE = "docs/settings.md"
HEAD = """# Settings

What an installation decides is a variable of the environment; what a twin decides is in its contract, and what the
pipeline decides in `params.yaml`. Under systemd and compose the variables stand in a file of `NAME=value` lines
([operations.md](operations.md)).

```sh
foretwin config                                          # every setting, and where it comes from; no secret is shown
foretwin config --set --env-file /etc/foretwin/foretwin.env
```

**A mistyped name is an error.** Every command, service and stage ends with exit code 1 where a variable begins with
`FORETWIN_`, or nearly so, and is none of these; the message proposes the nearest one. An empty variable counts as
not set, but for numbers, where it is an error too.

| variable | unless set | what it says | who reads it |
| --- | --- | --- | --- |
"""
FOOT = """
Variables of others mean here what they mean there: those of OpenTelemetry (`OTEL_EXPORTER_OTLP_ENDPOINT` and
[others](watching.md#traces)), MLflow (`MLFLOW_TRACKING_URI`, which may be `postgresql://user@host/db` or a server's
address; S3 takes `MLFLOW_S3_ENDPOINT_URL` and `AWS_*`, and needs `pip install 'foretwin[s3]'`, see
[model-life.md](model-life.md#what-mlflow-shows)) and BentoML (`BENTOML_HOME`).

This page is made from the registry of settings by `make docs`.
"""


def render_settings() -> str:
    """The page."""
    return HEAD + "".join(_row(setting) for setting in SETTINGS.values()) + FOOT


def _row(setting: Setting) -> str:
    default = f"`{setting.default}`" if setting.default else setting.otherwise
    return f"| `{setting.name}` | {default} | {setting.about} | {', '.join(setting.read_by)} |\n"


def main(check: bool, root: Path = Path()) -> None:
    """Write the page, or only compare."""
    write_or_compare(root / PAGE, render_settings(), "the registry of settings", check)


if __name__ == "__main__":
    with exit_on_error():
        main(check="--check" in sys.argv[1:])
