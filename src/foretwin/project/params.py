"""Parameters of the stages: `params.yaml` as typed objects."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

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
    "physics_ridge",
]
LEARNT: tuple[str, ...] = get_args(CandidateName)
NETWORKS = ("network", "statistics", "convolution", "statistics_convolution", "gru", "attention")
OF_ONE_TWIN = ("prepare", "tune", "train")  # sections whose fields may differ under a twin's name


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

    @field_validator("candidates")
    @classmethod
    def _check_candidates(cls, names: tuple[CandidateName, ...]) -> tuple[CandidateName, ...]:
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"{min(twice)} is listed twice; list each candidate once")
        if names and not set(names) & set(NETWORKS):
            raise ValueError(f"none is a network; add one of {', '.join(NETWORKS)}")
        return names


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
    latency_ms: Annotated[float, Field(gt=0)] = Field(
        default=50, description="the median of scoring one window, in processor time"
    )
    blend_slowdown: Annotated[float, Field(gt=0)] = Field(
        default=3,
        description="a blend's time for 1 and 256 windows as multiples of its network's, or `latency_ms` in all",
    )
    bundle_mb: Annotated[float, Field(gt=0)] = Field(default=50, description="the files of the bundle")


class Params(Section):
    """Content of params.yaml, as it is for one twin or for all."""

    twins: list[TwinName]
    prepare: PrepareParams
    tune: TuneParams
    train: TrainParams
    promote: PromoteParams


def load_params(path: Path, twin: str | None = None) -> Params:
    """Read params.yaml, with what it says under the name of `twin`; ParamsError names the file and the field."""
    try:
        content, _ = read_yaml(path, ParamsError)
    except FileNotFoundError:
        raise ParamsError(f"{path}: not found; run this from the project's folder") from None
    return _checked(path, content, twin)


def _checked(path: Path, content: Any, twin: str | None = None) -> Params:
    """Validate the content, and what stands under each twin's name on top of it; return it as it is for `twin`."""
    if not isinstance(content, dict):
        return _validated(path, content)
    names = [name for name in content if name not in Params.model_fields]
    shared = {name: value for name, value in content.items() if name not in names}
    valid = _validated(path, shared)
    of_twin = {name: _validated(path, _overridden(path, shared, name, content[name]), name) for name in names}
    return valid if twin is None else of_twin.get(twin, valid)


def _overridden(path: Path, shared: dict[str, Any], twin: str, own: Any) -> dict[str, Any]:
    """Return the sections of all twins with the fields that stand under the twin's name."""
    if not isinstance(own, dict) or not all(isinstance(fields, dict) for fields in own.values()):
        raise ParamsError(f"{path}: {twin}: is no section, and no twin's own; write {twin}: {{tune: {{trials: 4}}}}")
    wrong = [name for name in own if name not in OF_ONE_TWIN]
    if wrong:
        raise ParamsError(
            f"{path}: {twin}.{wrong[0]}: is the same for all twins; only {', '.join(OF_ONE_TWIN)} may differ"
        )
    return shared | {section: {**shared[section], **fields} for section, fields in own.items()}


def _validated(path: Path, content: Any, twin: str = "") -> Params:
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")  # a typo, then its consequences
        field = ".".join([*filter(None, [twin]), *map(str, first["loc"])]) or "content"
        raise ParamsError(f"{path}: {field}: {first['msg']}") from None


def add_twins(path: Path, names: Sequence[str]) -> list[str]:
    """Append the names that params.yaml does not list yet, keeping its comments; return the list.

    Each gets an entry under its own name, empty, for what it has otherwise than all: DVC compares a setting only where
    it stands. ParamsError, with the file unchanged, for an invalid name.
    """
    params = load_params(path)
    missing = [name for name in dict.fromkeys(names) if name not in params.twins]
    taken = [name for name in missing if name in Params.model_fields]
    if taken:
        raise ParamsError(f"{path}: twins: {taken[0]} is the name of a section; rename the twin")
    listed = _checked(path, {**params.model_dump(), "twins": [*params.twins, *missing]}).twins
    from ruamel.yaml import YAML  # not needed for serving

    yaml_file = YAML()
    yaml_file.preserve_quotes = True
    yaml_file.width = 10_000  # lines stay as long as their owner wrote them
    yaml_file.indent(mapping=2, sequence=4, offset=2)
    content = yaml_file.load(path)
    before = {name: list(content.get(name) or ()) for name in listed}
    if not missing and all(set(OF_ONE_TWIN) <= set(before[name]) for name in names):
        return listed
    content["twins"].extend(missing)
    after = content["twins"].ca.items  # comments after each name; the empty line stays after the last one
    if len(params.twins) - 1 in after and after[len(params.twins) - 1][0].value.startswith("\n"):
        after[len(listed) - 1] = after.pop(len(params.twins) - 1)
    for name in dict.fromkeys(names):
        _complete_entry(content, name)
    with fresh_file(path) as out:
        yaml_file.dump(content, out)
    return listed


def _complete_entry(content: Any, name: str) -> None:
    """Put the twin's own sections, where they are missing, beside those that stand there."""
    from ruamel.yaml.comments import CommentedMap

    if not isinstance(content.get(name), dict):
        content[name] = CommentedMap()
        content[name].fa.set_flow_style()
    for section in OF_ONE_TWIN:
        if section not in content[name]:
            content[name][section] = CommentedMap()
            content[name][section].fa.set_flow_style()
