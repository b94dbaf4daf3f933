"""Entry points of commands and stages: errors as one line, a traceback only with `--debug`.

The command line and each pipeline stage run inside `exit_on_error`, so that messages have the same form everywhere.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from foretwin.errors import ForetwinError
from foretwin.project.settings import check_names

TELEMETRY_OFF = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
# As the stages have them, by pipelines/chain.yaml, so that figures are the same on any processor with AVX2.
KERNELS = {
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
}


def switch_telemetry_off() -> None:
    """Disable the telemetry of all libraries by environment variables; a user's own setting takes precedence."""
    for name, value in TELEMETRY_OFF.items():
        os.environ.setdefault(name, value)


@contextmanager
def exit_on_error(debug: bool = False) -> Iterator[None]:
    """Turn a deliberate error, a full disk or Ctrl-C into one line on stderr and exit code 1.

    With `debug` every exception passes through with its traceback.
    """
    if debug:
        yield
        return
    try:
        yield
    except ForetwinError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted: nothing half-written was kept")
    except FileNotFoundError as error:
        _fail(f"{error.filename or error}: not found; run `dvc repro` for the earlier stages")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        _fail(
            f"{error.filename or 'writing'}: {error.strerror}; free some space or fix the permissions, then run again"
        )


def run_stage(main: Callable[[str], None]) -> None:
    """Run one pipeline stage from its command line: `python pipelines/NAME.py TWIN [--debug]`."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        stage = Path(sys.argv[0]).name
        print(f"usage: python pipelines/{stage} TWIN [--debug]\n\n{sys.modules['__main__'].__doc__}", file=sys.stderr)
        raise SystemExit(0 if arguments and arguments[0] in ("-h", "--help") else 2)
    switch_telemetry_off()
    with exit_on_error(debug="--debug" in sys.argv):
        check_names()
        main(arguments[0])


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(1)


def show_progress() -> bool:
    """Return whether to show progress: on a terminal, and not in CI."""
    return os.isatty(2) and not os.environ.get("CI")
