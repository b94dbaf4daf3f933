"""Signatures of bundles: who vouches for a model, as an ed25519 signature that lies beside the bundle.

    models/<twin>/signatures/<digest>.json   one for each bundle that was signed
    models/<twin>/champion/signature.json    that of the champion, which goes with it into a Bento

What is signed is the bundle's digest, that of its manifest, which lists all other files: a signature changes no digest.
FORETWIN_TRUSTED_SIGNERS holds the public keys that count; once it is set, a bundle without the signature of one is
not served. The private key stays with who signs: it is refused inside a project.
"""

import base64
import binascii
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from foretwin.errors import BadInput, BundleError, ParamsError
from foretwin.project.files import OTHERS, fresh_file
from foretwin.project.json import strict_json
from foretwin.project.paths import Paths
from foretwin.project.settings import read_setting

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNERS = "FORETWIN_TRUSTED_SIGNERS"
SIGNATURE = "signature.json"
STATEMENT = "foretwin bundle 1\n"  # before the digest: so that nothing else that the key signs is a bundle's signature
PUBLIC_BYTES = 32


def make_signing_key(path: Path, root: Path) -> str:
    """Write a new private key, for its owner alone, and return its public key; BadInput for a place in the project."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    _check_outside(path, root)
    if path.exists():
        raise BadInput(str(path), "exists; name another file")
    key = Ed25519PrivateKey.generate()
    with fresh_file(path, private=True) as out:
        out.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return _public(key)


def sign_bundle(paths: Paths, digest: str, key_file: Path) -> Path:
    """Sign a bundle by its digest, write models/<twin>/signatures/<digest>.json and return its path.

    BadInput where the key lies in the project, is readable by others, or is no ed25519 key.
    """
    key = _read_key(key_file, paths.root)
    signature = base64.b64encode(key.sign(_statement(digest))).decode()
    content = {"bundle": digest, "key": _public(key), "signature": signature}
    with fresh_file(signature_path(paths, digest)) as out:
        out.write_text(strict_json(content, indent=1) + "\n", encoding="utf-8")
    return signature_path(paths, digest)


def signature_path(paths: Paths, digest: str) -> Path:
    """Return where a project keeps the signature of a bundle."""
    return paths.models / "signatures" / f"{digest}.json"


def signature_files(paths: Paths, digest: str) -> dict[str, bytes]:
    """Return signature.json -> its content for the folder of a champion, where the project has one of this bundle."""
    path = signature_path(paths, digest)
    return {SIGNATURE: path.read_bytes()} if path.is_file() else {}


def check_signature(path: Path, digest: str, environ: Mapping[str, str] = os.environ) -> None:
    """BundleError unless the file holds a trusted key's signature of the bundle; any file will do where none is set.

    ParamsError where FORETWIN_TRUSTED_SIGNERS is no list of public keys.
    """
    trusted = trusted_signers(environ)
    if not trusted:
        return
    if not path.is_file():
        raise BundleError(f"{path}: the bundle {digest[:12]} is not signed; `foretwin sign bundle` signs it")
    try:
        content = json.loads(path.read_bytes())
        signer, of, signature = (str(content[name]) for name in ("key", "bundle", "signature"))
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path}: is no signature: {error!r}; sign the bundle again") from None
    if signer not in trusted:
        raise BundleError(f"{path}: signed by {signer[:60]}, which {SIGNERS} does not name; let a trusted key sign it")
    if of != digest or not _is_signature(signer, digest, signature):
        raise BundleError(f"{path}: is not the signature of the bundle {digest[:12]}; it is not loaded")


def trusted_signers(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the public keys of FORETWIN_TRUSTED_SIGNERS, none where it is not set; ParamsError where one is none."""
    found = {part.strip() for part in read_setting(SIGNERS, environ).split(",")} - {""}
    for text in found:
        try:
            right = len(base64.b64decode(text, validate=True)) == PUBLIC_BYTES
        except binascii.Error:
            right = False
        if not right:
            raise ParamsError(f"{SIGNERS}: {text[:60]} is no public key; `foretwin sign key` prints one")
    return frozenset(found)


def _is_signature(signer: str, digest: str, signature: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(signer, validate=True))
        key.verify(base64.b64decode(signature, validate=True), _statement(digest))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _read_key(path: Path, root: Path) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    _check_outside(path, root)
    try:
        if path.stat().st_mode & OTHERS:
            raise BadInput(str(path), f"everybody on this machine may read it; `chmod 600 {path}`, or make another key")
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(str(path), f"is no private key: {error}; `foretwin sign key` makes one") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(str(path), "is no ed25519 key; `foretwin sign key` makes one")
    return key


def _check_outside(path: Path, root: Path) -> None:
    if path.resolve().is_relative_to(root.resolve()):
        raise BadInput(str(path), "lies in the project, from where it could be committed or copied; keep it elsewhere")


def _public(key: "Ed25519PrivateKey") -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def _statement(digest: str) -> bytes:
    return (STATEMENT + digest).encode()
