"""Ask a process how it is, for an engine of containers: `python -m foretwin.operations.health.probe URL`.

Exit code 0 where it answers 200, else 1 with what it says. An image need have no HTTP client for it.
"""

import sys
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

LONGEST = 5.0  # seconds


def probe(url: str) -> str | None:
    """Return what is wrong, None where the URL answers 200. A proxy of the environment is not asked."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=LONGEST):
            return None
    except HTTPError as error:
        return error.read(1000).decode(errors="replace")
    except (URLError, OSError, ValueError) as error:
        return f"{url}: {error}"


if __name__ == "__main__":
    wrong = probe(sys.argv[1] if len(sys.argv) > 1 else "")
    if wrong:
        sys.stderr.write(f"{wrong}\n")
        raise SystemExit(1)
