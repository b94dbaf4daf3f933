"""Parameters of the stages: `params.yaml` as typed objects."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from foretwin.contract.policy import Share
from foretwin.contract.twin import TwinName
from foretwin.contract.yaml import read_yaml
from foretwin.errors import ParamsError
from foretwin.project.files import fresh_file

Count = Annotated[int, Field(ge=1)]
CandidateName = Literal[
    "network",
    "statistics",
    "convolution",
    "statistics_convolution",
    "gru",
    "attention",
    "gradient_boosting",
    "extra_trees",
    "random_fourier_ridge",
    "linear",
]


class Section(BaseModel):
    """Base of the sections of params.yaml: frozen, and without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PrepareParams(Section):
    """Parameters of the splits and of the cuts of held-out runs."""

    test_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="assets held out, where the source fixes no test set"
    )
    folds: Annotated[int, Field(ge=2)] = Field(description="development assets are dealt into this many folds")
    cuts: Count = Field(description="random cut points per held-out run")
    seed: int


class TuneParams(Section):
    """Budget of the Optuna study."""

    trials: Count
    windows: Count = Field(description="windows drawn in one trial")
    seed: int


class TrainParams(Section):
    """Budget of training one member; one member is trained per seed and fold."""

    windows: Count = Field(description="windows drawn for one member")
    batch: Annotated[int, Field(ge=2)]
    level: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        description="share of truths that the RUL interval should cover"
    )
    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="share of the fault answers given that should be right; a less certain one is `unknown`"
    )
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = Field(
        description="each adds one member per fold to the ensemble"
    )
    candidates: tuple[CandidateName, ...] = Field(
        default=(), description="models of which a blend is made; empty: the tuned network alone, without one"
    )
    smallest_weight: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        default=0.05, description="a candidate with less weight in the blend leaves it"
    )
    least_answered: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.1, description="of a blend: a fault axis with a smaller share of answers is not learnt"
    )
    blend_mb: Annotated[float, Field(gt=0)] = Field(default=16, description="the largest graph of a blend")


class SliceLoss(Section):
    """Share of its error by which a candidate may be worse than the champion, per kind of slice."""

    subset: Share = 0.05
    fault: Share = 0.1
    regime: Share = 0.1
    life: Share = 0.1


class PromoteParams(Section):
    """Parameters of the gate."""

    must_beat: tuple[str, ...] = Field(
        default=("constant", "linear"), description="baselines that a candidate has to beat in every figure"
    )
    allowed_loss: Share = Field(description="who replaces another may be worse by this share of an error")
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        default=0.95, description="share of the resamples that a difference must show in"
    )
    slice_loss: SliceLoss = SliceLoss()
    fewest_assets: Count = Field(default=5, description="a slice or a comparison with fewer assets decides nothing")
    misses: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=1)]] = Field(
        default=(0.1, 2.0), description="truths that the interval may miss, as multiples of what its level says"
    )
    least_answered: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.1, description="of a blend: an axis with a smaller share of answers is reported as not learnt"
    )
    latency_ms: Annotated[float, Field(gt=0)] = Field(default=50, description="the median of scoring one window")
    bundle_mb: Annotated[float, Field(gt=0)] = Field(default=50, description="the files of the bundle")


class Params(Section):
    """Content of params.yaml."""

    twins: list[TwinName]
    prepare: PrepareParams
    tune: TuneParams
    train: TrainParams
    promote: PromoteParams


def load_params(path: Path) -> Params:
    """Read params.yaml; ParamsError names the file and the field."""
    try:
        content, _ = read_yaml(path, ParamsError)
    except FileNotFoundError:
        raise ParamsError(f"{path}: not found; run this from the project's folder") from None
    return _checked(path, content)


def _checked(path: Path, content: Any) -> Params:
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")  # a typo, then its consequences
        raise ParamsError(f"{path}: {'.'.join(map(str, first['loc'])) or 'content'}: {first['msg']}") from None


def add_twins(path: Path, names: Sequence[str]) -> list[str]:
    """Append the names that params.yaml does not list yet, keeping its comments; return the list.

    ParamsError, with the file unchanged, for an invalid name.
    """
    params = load_params(path)
    missing = [name for name in dict.fromkeys(names) if name not in params.twins]
    listed = _checked(path, {**params.model_dump(), "twins": [*params.twins, *missing]}).twins
    if not missing:
        return listed
    from ruamel.yaml import YAML  # not needed for serving

    yaml_file = YAML()
    yaml_file.preserve_quotes = True
    yaml_file.indent(mapping=2, sequence=4, offset=2)
    content = yaml_file.load(path)
    content["twins"].extend(missing)
    after = content["twins"].ca.items  # comments after each name; the empty line stays after the last one
    if len(params.twins) - 1 in after and after[len(params.twins) - 1][0].value.startswith("\n"):
        after[len(listed) - 1] = after.pop(len(params.twins) - 1)
    with fresh_file(path) as out:
        yaml_file.dump(content, out)
    return listed
