"""The `foretwin` command as a person runs it, on a terminal so wide that no line wraps."""

import click
from click.testing import CliRunner, Result

from foretwin.cli.main import main


def foretwin(*arguments: str, answer: str | None = None) -> Result:
    """What it prints and its exit code; `answer` is what is typed where it asks."""
    return CliRunner(env={"COLUMNS": "300"}).invoke(main, arguments, input=answer)


def shown(*arguments: str, answer: str | None = None) -> str:
    """What a command prints that succeeds, with single spaces."""
    result = foretwin(*arguments, answer=answer)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def refusal(*arguments: str) -> str:
    """The one line on stderr of a command that fails."""
    result = foretwin(*arguments)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("error: ").rstrip("\n")


def check_command(arguments: list[str]) -> None:
    """Check that the command line knows a command and its options; nothing is run."""
    with click.Context(main) as context:
        group: click.Group = main
        while True:
            name, command, rest = group.resolve_command(context, arguments)
            if not isinstance(command, click.Group) or not rest:
                break
            group, arguments = command, rest
        command.make_context(name, rest, parent=context)
