"""Pointer to a published champion: which files it is of, by their digests."""

from pathlib import PurePosixPath
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from foretwin.champion.identity import ModelIdentity
from foretwin.contract.twin import TwinName
from foretwin.errors import RegistryError
from foretwin.project.json import strict_json

MOST_FILES, MOST_BYTES, MOST_POINTER = 1000, 4 * 1024**3, 1024 * 1024  # of a champion; of the file that names it
DIGEST = r"^[0-9a-f]{64}$"


class PublishedFile(BaseModel):
    """A published file: its digest, which is its name, and its size."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    sha256: str = Field(pattern=DIGEST)
    bytes: int = Field(ge=0)


class Pointer(BaseModel):
    """Which files are a twin's champion, by their paths in models/<twin>/champion/; twin.yaml is its contract."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    twin: TwinName
    name: str
    version: str
    run: str
    digest: str = Field(pattern=DIGEST)  # of the bundle
    files: dict[str, PublishedFile] = Field(max_length=MOST_FILES)

    @classmethod
    def of(cls, twin: str, content: bytes) -> Self:
        """Read a twin's pointer; RegistryError where it is none, or names a place outside of the champion's folder."""
        try:
            found = cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            raise RegistryError(f"champions/{twin}.json: {first['loc']}: {first['msg']}; publish it again") from None
        outside = [name for name in found.files if not _is_inside(name)]
        if found.twin != twin or outside or sum(one.bytes for one in found.files.values()) > MOST_BYTES:
            wrong = f"names {outside[0][:80]}" if outside else f"is of {found.twin}, or of more than {MOST_BYTES} bytes"
            raise RegistryError(f"champions/{twin}.json: {wrong}; publish it again")
        return found

    @property
    def identity(self) -> ModelIdentity:
        """Return the registered version that it is."""
        return ModelIdentity(self.name, self.version, self.run, self.digest)

    def text(self) -> bytes:
        """Return the content of the pointer's file; the same champion gives the same bytes."""
        return (strict_json(self.model_dump(), indent=1) + "\n").encode()


def _is_inside(name: str) -> bool:
    """Whether a path stays in the folder that it is joined to."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\\" not in name
