"""Who wrote a bundle: `SHA256SUMS.sig`, the Ed25519 signature (RFC 8032) of the list of hashes.

Keys are PEM files as `openssl genpkey -algorithm ed25519` makes them; the signature is the 64 bytes that `openssl
pkeyutl -verify -rawin` takes, so that a bundle can be checked without llmtl. Not covered: whose a key is. Whoever
serves must have the public key from somewhere else than the bundle.
"""

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from llmtl.errors import BundleError, InputError, MissingFileError
from llmtl.foreign_files import read_whole
from llmtl.packages import require
from llmtl.progress import Progress
from llmtl.serving.bundle.hashes import unlisted
from llmtl.serving.bundle.manifest import CHECKSUMS, SIGNATURE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAKE = "openssl genpkey -algorithm ed25519 -out bundle.key"
_LARGEST_KEY = 2**16
"""Bytes; an Ed25519 key in PEM has 119."""
MAKE_PUBLIC = "openssl pkey -in bundle.key -pubout -out bundle.pub"


def read_private_key(path: Path, progress: Progress | None = None) -> "Ed25519PrivateKey":
    """Read the key to sign with; raises `InputError` for a file that holds none, or one under a passphrase.

    `progress` is told where others may read the key, too.
    """
    require("Signing a bundle", "cryptography")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _read(path)
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise InputError(
            f"The key '{path}' is under a passphrase; take it off for this (`openssl pkey -in KEY -out OPEN-KEY`)."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"'{path}' holds no private Ed25519 key in PEM; make one with `{MAKE}`.")
    if progress is not None and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        progress.say(f"Warning: others can read the key '{path}', and sign with it; `chmod 600` keeps it yours.")
    return key


def read_public_key(path: Path) -> "Ed25519PublicKey":
    """Read the key to verify with; raises `InputError` for a file that holds none."""
    require("Verifying a bundle", "cryptography")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    content = _read(path)
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"'{path}' holds no public Ed25519 key in PEM; make it with `{MAKE_PUBLIC}`.")
    return key


def sign(folder: Path, key: "Ed25519PrivateKey") -> None:
    """Write the signature of a bundle's hashes beside them."""
    path, signature = folder / SIGNATURE, key.sign((folder / CHECKSUMS).read_bytes())
    try:
        path.write_bytes(signature)
    except OSError:
        path.unlink(missing_ok=True)  # half a signature says that somebody changed the bundle
        raise


def require_signature(folder: Path, key: "Ed25519PublicKey") -> None:
    """Raise `BundleError` unless the owner of `key` signed the bundle's hashes, and every file has one.

    The files must then be compared with their hashes (`open_bundle`).
    """
    from cryptography.exceptions import InvalidSignature

    signature, sums = folder / SIGNATURE, folder / CHECKSUMS
    if not signature.is_file() or not sums.is_file():
        raise BundleError(f"The bundle '{folder}' is not signed; export it with --sign KEY, or serve without --verify.")
    try:
        key.verify(read_whole(signature), read_whole(sums))
    except OSError as error:
        raise BundleError(
            f"The signature of the bundle '{folder}' cannot be read ({error.strerror}); do not serve it."
        ) from None
    except InvalidSignature:
        raise BundleError(
            f"The signature of the bundle '{folder}' is not by this key, or its hashes were changed after it; do not "
            "serve it, and ask whoever made it."
        ) from None
    odd = unlisted(folder)
    if odd:
        raise BundleError(f"The signature of the bundle '{folder}' does not cover '{odd[0]}'; remove that file.")


def _read(path: Path) -> bytes:
    """Read a key; at most so much of the file as a key may have."""
    if not path.exists():
        raise MissingFileError(f"There is no key at '{path}'; make one with `{MAKE}`, and `{MAKE_PUBLIC}`.")
    if path.is_dir():
        raise InputError(f"'{path}' is a folder; name the file that holds the key.")
    with path.open("rb") as file:
        return file.read(_LARGEST_KEY)
