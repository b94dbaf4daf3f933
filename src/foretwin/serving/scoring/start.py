"""Start the service: champions, access, metrics, and the thread that replaces champions."""

import gc
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from foretwin.champion.loaded import MEBIBYTE
from foretwin.errors import ParamsError
from foretwin.project.settings import read_number, read_setting
from foretwin.serving.access.authentication import Guard
from foretwin.serving.http.limits import Limits
from foretwin.serving.packaging.champions import packaged_champions
from foretwin.serving.scoring.champions import Champions
from foretwin.serving.scoring.following import follow, load_first
from foretwin.serving.scoring.metrics import Metrics
from foretwin.serving.scoring.state import Service

ENDING = 5.0  # seconds that a swap in progress is waited for


def start(environ: Mapping[str, str]) -> Service:
    """Build the service from FORETWIN_PROJECT, else FORETWIN_BENTO; ParamsError where neither is a folder.

    A champion that is damaged is refused, and those of the other twins answer.
    """
    root, bento = _folder(environ, "FORETWIN_PROJECT"), _folder(environ, "FORETWIN_BENTO")
    if root:
        folders = sorted(path.parent for path in (root / "models").glob("*/champion/identity.json"))
    elif bento:
        folders = packaged_champions(bento)
    else:
        raise ParamsError("FORETWIN_PROJECT, FORETWIN_BENTO: one must name a folder; `foretwin serve` sets both")
    return service_of(folders, root, environ)


def service_of(folders: list[Path], root: Path | None, environ: Mapping[str, str]) -> Service:
    """Build the service of the champions in these folders; keys are in `root`, or here without a project."""
    champions = Champions(root, read_number("FORETWIN_CHAMPION_MEMORY", environ) * MEBIBYTE)
    metrics = Metrics(champions.loaded)
    load_first(champions, folders, metrics)
    return Service(champions, Limits.from_env(environ), Guard.from_env(root or Path(), environ), metrics)


def following(service: Service, environ: Mapping[str, str]) -> Callable[[], AbstractContextManager[None]] | None:
    """Return a context that replaces champions while the application runs, where there is a project to follow."""
    root = _folder(environ, "FORETWIN_PROJECT")
    if root is None:
        return None

    @contextmanager
    def run() -> Iterator[None]:
        stop = threading.Event()
        work = threading.Thread(
            target=follow, args=(service.champions, root, service.metrics, stop), name="follow", daemon=True
        )
        work.start()
        try:
            yield
        finally:
            stop.set()
            work.join(ENDING)

    return run


def freeze() -> None:
    """Exempt loaded objects from garbage collection: they live for good, and walking them delays calls."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def _folder(environ: Mapping[str, str], name: str) -> Path | None:
    text = read_setting(name, environ)
    if not text:
        return None
    if not Path(text).is_dir():
        raise ParamsError(f"{name}: {text} is no folder")
    return Path(text).resolve()
