"""What the gate said of a candidate that it refused, for whoever asks for the champion that it did not become."""

import json

from foretwin.project.paths import Paths


def refusal_of(paths: Paths) -> str | None:
    """Return in a sentence that the last candidate was refused, and why; None where it was not, or none was decided on.

    It reads models/<twin>/promotion.json.
    """
    try:
        verdict = json.loads((paths.models / "promotion.json").read_text(encoding="utf-8"))
        version, promoted, reasons = verdict["version"], verdict["promoted"], verdict["reasons"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if promoted or not reasons:
        return None
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"version {version} was refused by the gate because {reasons[0]}{more}"


def absence_of(paths: Paths) -> str:
    """Return in a sentence why a twin has no champion, and what to do."""
    refused = refusal_of(paths)
    if refused:
        return f"{refused}; look at it by `foretwin score FILE --twin {paths.twin} --candidate`"
    return f"{paths.twin} has no champion yet; `foretwin add {paths.twin}` and `dvc repro` make one"
