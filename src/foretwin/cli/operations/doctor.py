"""Check the installation: `foretwin doctor`."""

from pathlib import Path

import click


@click.command("doctor")
@click.option("--env-file", type=click.Path(path_type=Path), help="Settings of a unit or container, before those here.")
@click.option("--mqtt", metavar="URL", help="The broker of `foretwin ingest`; else FORETWIN_MQTT_URL.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor_command(env_file: Path | None, mqtt: str | None, as_json: bool) -> None:
    """Check settings, versions, permissions, clock, disk, database, broker, keys and champions.

    One line for each: ok, warn or fail, with what to do. Exit code 1 where one fails. Nothing is made or migrated: it
    can be run beside the processes, and before the first of them. Run it as their user.

    \b
      foretwin doctor
      sudo -u foretwin .venv/bin/foretwin doctor --env-file /etc/foretwin/foretwin.env
    """
    import json
    import os
    from dataclasses import asdict

    from foretwin.cli.project import PROJECT
    from foretwin.operations.doctor.examination import examine_installation
    from foretwin.operations.doctor.finding import Installation
    from foretwin.operations.env_file import read_env_file
    from foretwin.project.settings import read_setting
    from foretwin.twin.connectors.mqtt.address import check_no_password

    check_no_password("--mqtt", mqtt or "")
    environ = {**os.environ, **(read_env_file(env_file) if env_file else {})}
    place = Installation(PROJECT, environ, env_file, mqtt or read_setting("FORETWIN_MQTT_URL", environ))
    failed = 0
    found = []
    for finding in examine_installation(place):
        failed += finding.level == "fail"
        found.append(asdict(finding))
        if not as_json:
            click.echo(f"{finding.level:5} {finding.check:12} {finding.text}")
    if as_json:
        click.echo(json.dumps(found, indent=1))
    if failed:
        raise SystemExit(1)
