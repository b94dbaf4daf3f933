"""MLflow model of a bundle: `Bundle.score` behind MLflow's interface.

MLflow copies this file and the package beside it into the model ("models from code"), so that a version can be loaded
where Foretwin is not installed, and nothing is ever pickled. It is not imported by the product.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from foretwin.predictor.bundle import Bundle


class Scorer(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # mlflow is not typed
    """A bundle as an MLflow model."""

    bundle: Bundle

    def load_context(self, context: Any) -> None:
        """Load the bundle that was logged with the model; BundleError where it was altered since."""
        self.bundle = Bundle.load(Path(context.artifacts["bundle"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002  # MLflow's signature
        """Return one score per asset, as `Bundle.score`; `context` and `params` are ignored."""
        return self.bundle.score(model_input)


# MLflow executes this file to get the model, and this call is how the file hands it over.
mlflow.models.set_model(Scorer())
