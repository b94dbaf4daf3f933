"""What every test starts from: no store of the developer's own, wherever the environment may point."""

import os

for name in ("BENTOML_HOME", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
    os.environ.pop(name, None)
