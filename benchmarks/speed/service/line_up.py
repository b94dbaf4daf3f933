"""Who is measured in the service's bench: the service, what else could answer, and each layer of BentoML alone."""

import json
import os
import shutil
import sys
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import numpy as np

from benchmarks.speed.service.load import Call
from benchmarks.speed.service.model import COUNTS, Model, arrow_call, json_call, tensor_call
from benchmarks.speed.service.servers import JSON, ROOT, Server, uvicorn
from foretwin.champion.champion import keep_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.project.paths import Paths
from foretwin.serving.access.keys import FASTEST, KeyRequest, keys_path, make_key
from foretwin.serving.packaging.bento import build

STREAM = "application/vnd.apache.arrow.stream"
ARROW = {"Content-Type": STREAM, "Accept": STREAM}
KEY = "a-key-of-the-peers"
OURS, RIVAL = "Foretwin", "FastAPI, checks by hand, key, metrics"


def ours(model: Model, root: Path) -> list[Server]:
    """The scoring service in a project of its own, as `foretwin serve` starts it; without keys; by `bentoml serve`."""
    twin = model.bundle.contract.name
    keep_champion(Paths(root, twin), model.folder, ModelIdentity(f"foretwin-{twin}", "1", "a-run", model.bundle.digest))
    shutil.copytree(ROOT / "serving", root / "serving")
    os.environ["BENTOML_HOME"] = str(root / ".bentoml")
    bento = build(root)
    keys = keys_path(root, {})
    token = make_key(keys, KeyRequest("bench", ("score",), FASTEST), "bench", datetime.now(UTC))
    places = {"FORETWIN_BENTO": str(bento.folder), "FORETWIN_PROJECT": str(root), "FORETWIN_PORT": "{port}"}
    command, source = (sys.executable, "-m", "foretwin.serving"), bento.folder / "src"
    keyed, anybody = (
        json_calls(model, headers) | arrow_calls(model, headers)
        for headers in ({"Authorization": f"Bearer {token}"}, {})
    )
    return [
        Server(OURS, command, keyed, places, source),
        Server(f"{OURS}, access open", command, anybody, places | {"FORETWIN_ACCESS": "open"}, source),
        Server(f"{OURS} by bentoml serve", bentoml(bento.tag), keyed, {"FORETWIN_KEYS": str(keys)}),
    ]


def peers(model: Model, folder: Path) -> list[Server]:
    """Everybody else who scores, the nearest rival first."""
    keys = folder / "peer-keys.json"
    keys.write_text(json.dumps({sha256(KEY.encode()).hexdigest(): ["score"]}))
    environment = {"PEER_BUNDLE": str(model.folder), "PEER_KEYS": str(keys)}
    keyed, bare = json_calls(model, {"Authorization": f"Bearer {KEY}"}), json_calls(model, {})
    return [
        Server(RIVAL, uvicorn("fastapi_checked:create_app"), keyed, environment),
        Server("FastAPI, checks by pydantic, key, metrics", uvicorn("fastapi_pydantic:create_app"), keyed, environment),
        Server("FastAPI, checks by hand alone", uvicorn("fastapi_bare:create_app"), bare, environment),
        Server(
            "BentoML as documented",
            bentoml("benchmarks.speed.peers.bentoml_documented:Scoring"),
            bare,
            environment,
            ROOT,
        ),
        mlflow(model, folder),
    ]


def mlflow(model: Model, folder: Path) -> Server:
    """`mlflow models serve` of the network as MLflow's ONNX flavour: no checks, no intervals, no warnings."""
    import mlflow.onnx
    import onnx
    from mlflow.models import infer_signature

    from benchmarks.speed.service.model import inputs

    place = folder / "mlflow"
    if not place.exists():
        graph = onnx.load(str(model.folder / "network.onnx"))
        example = inputs(model, 1)
        said = {"rul": model.bundle.session.run(["rul"], example)[0]}
        mlflow.onnx.save_model(
            graph, str(place), signature=infer_signature(example, said), pip_requirements=["onnxruntime"]
        )
    rul = model.bundle.contract.rul
    cap = rul.cap if rul else np.inf

    def read(answer: bytes) -> list[float]:
        said = json.loads(answer)["predictions"]["rul"]
        return [float(value) for value in np.clip(said, 0, cap)]

    serve = (sys.executable, "-m", "mlflow", "models", "serve", "-m", str(place), "--env-manager", "local")
    command = (*serve, "--host", "127.0.0.1", "--port", "{port}", "--workers", "1")
    calls = {(count, "json"): Call("/invocations", JSON, tensor_call(model, count), count) for count in COUNTS}
    return Server("mlflow models serve", command, calls, read=read)


def layers() -> list[Server]:
    """A handler that does nothing, under one layer after the other."""
    calls = {(1, "json"): Call("/v1/score", JSON, b"{}")}
    quiet = {"OTEL_SDK_DISABLED": "true"}
    within = uvicorn("noop:mounted_app")
    return [
        Server("Starlette, uvicorn", uvicorn("noop:plain"), calls),
        Server("BentoML's application, uvicorn, neither", within, calls, quiet | {"PEER_METRICS": "off"}),
        Server("BentoML's application, uvicorn, no tracing", within, calls, quiet),
        Server("BentoML's application, uvicorn", within, calls),
        Server("bentoml serve, no tracing", bentoml("benchmarks.speed.peers.noop_service:service"), calls, quiet, ROOT),
        Server("bentoml serve", bentoml("benchmarks.speed.peers.noop_service:service"), calls, folder=ROOT),
    ]


def json_calls(model: Model, headers: dict[str, str]) -> dict[tuple[int, str], Call]:
    """The calls to a server that takes JSON in the scoring service's form."""
    return {(count, "json"): Call("/v1/score", JSON | headers, json_call(model, count), count) for count in COUNTS}


def arrow_calls(model: Model, headers: dict[str, str]) -> dict[tuple[int, str], Call]:
    """The greatest call as an Arrow stream, answered as one."""
    path, count = f"/v1/score?twin={model.bundle.contract.name}", COUNTS[-1]
    return {(count, "arrow"): Call(path, ARROW | headers, arrow_call(model, count), count)}


def bentoml(service: str) -> tuple[str, ...]:
    """`bentoml serve` of a service in the folder where it is started, or of a Bento's tag."""
    return (sys.executable, "-m", "bentoml", "serve", service, "--host", "127.0.0.1", "--port", "{port}")
