"""Print the settings: `foretwin config`."""

from pathlib import Path

import click


@click.command("config")
@click.option("--env-file", type=click.Path(path_type=Path), help="Settings of a unit or container, before those here.")
@click.option("--set", "only_set", is_flag=True, help="Only those that are set.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def config_command(env_file: Path | None, only_set: bool, as_json: bool) -> None:
    """Print every setting and where it comes from.

    Each is a variable of the environment; no secret is shown. A variable that begins with FORETWIN_ and is no setting
    ends this, and every other command, with exit code 1.

    \b
      foretwin config
      foretwin config --set --env-file /etc/foretwin/foretwin.env
    """
    import json
    import os

    from foretwin.cli.tables import show_table
    from foretwin.operations.env_file import read_env_file
    from foretwin.project.settings import SETTINGS, check_names, shown_value

    filed = read_env_file(env_file) if env_file else {}
    rows = []
    for name, setting in SETTINGS.items():
        text = filed.get(name) or os.environ.get(name, "")
        origin = str(env_file) if filed.get(name) else "environment" if text else "default"
        value = shown_value(setting, text) if text else setting.default or setting.otherwise.replace("`", "")
        if text or not only_set:
            rows.append({"name": name, "value": value, "origin": origin, "read_by": list(setting.read_by)})
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        show_table(("setting", "value", "origin"), [(row["name"], row["value"], row["origin"]) for row in rows])
    check_names({**os.environ, **filed})
