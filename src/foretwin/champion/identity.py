"""Identity of a registered model version."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from foretwin.errors import BundleError


@dataclass(frozen=True)
class ModelIdentity:
    """Identity of a model: registry name and version, the run that trained it, its bundle's digest."""

    name: str
    version: str
    run: str
    digest: str

    @property
    def tag(self) -> str:
        """Return the tag of its BentoML model."""
        return model_tag(self.name, self.version, self.digest)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read identity.json; BundleError where it is missing or something else."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(*(str(content[name]) for name in ("name", "version", "run", "digest")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{path}: not a champion's identity: {error!r}; run `dvc repro package` again") from None


def model_tag(name: str, version: str, digest: str) -> str:
    """Return the tag of a registered version's BentoML model."""
    return f"{name}:{version}-{digest[:16]}"
