"""Signed bundles: keys and signatures are openssl's, in both directions; what was changed after signing is found."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from llmtl.errors import BundleError, InputError, MissingFileError
from llmtl.pipeline.serve import find_target
from llmtl.progress import Silent
from llmtl.serving.bundle.hashes import write_hashes
from llmtl.serving.bundle.signature import read_private_key, read_public_key, require_signature, sign

KEPT = Path(__file__).parents[2] / "fixtures" / "bundles" / "ce0dc59.tar.gz"


def openssl(*arguments) -> bytes:
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> tuple[Path, Path]:
    """Return a private key and its public one, made as the documents say."""
    folder = tmp_path_factory.mktemp("keys")
    private, public = folder / "bundle.key", folder / "bundle.pub"
    openssl("genpkey", "-algorithm", "ed25519", "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    return private, public


@pytest.fixture
def bundle(tmp_path, keys) -> Path:
    """Return a signed bundle."""
    with tarfile.open(KEPT) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / "classification-tfidf"
    sign(folder, read_private_key(keys[0]))
    return folder


def test_a_signed_bundle_is_served_and_openssl_agrees(bundle, keys):
    assert find_target(bundle, signed_by=keys[1]).bundle.winner.name == "tfidf"
    told = ("-rawin", "-in", bundle / "SHA256SUMS", "-sigfile", bundle / "SHA256SUMS.sig")
    assert b"Signature Verified Successfully" in openssl("pkeyutl", "-verify", "-pubin", "-inkey", keys[1], *told)
    assert find_target(bundle).bundle.winner.name == "tfidf"  # nobody has to verify


def test_a_signature_of_openssl_is_taken(bundle, keys):
    sums, signature = bundle / "SHA256SUMS", bundle / "SHA256SUMS.sig"
    signature.unlink()
    openssl("pkeyutl", "-sign", "-inkey", keys[0], "-rawin", "-in", sums, "-out", signature)
    require_signature(bundle, read_public_key(keys[1]))


def test_another_key_and_changes_after_signing_are_refused(bundle, keys, tmp_path):
    other, public = tmp_path / "other.key", tmp_path / "other.pub"
    openssl("genpkey", "-algorithm", "ed25519", "-out", other)
    openssl("pkey", "-in", other, "-pubout", "-out", public)
    with pytest.raises(BundleError, match=r"signature of the bundle .* is not by this key, or its hashes were changed"):
        find_target(bundle, signed_by=public)
    (bundle / "README.md").write_text("changed")
    with pytest.raises(BundleError, match=r"README\.md' of the bundle .* was changed after the export"):
        find_target(bundle, signed_by=keys[1])
    write_hashes(bundle, Silent())
    with pytest.raises(BundleError, match="is not by this key, or its hashes were changed"):
        find_target(bundle, signed_by=keys[1])


def test_files_that_the_signature_does_not_cover_are_refused(bundle, keys):
    (bundle / ".DS_Store").write_text("")
    assert find_target(bundle).bundle.winner.name == "tfidf"
    with pytest.raises(BundleError, match=r"does not cover '\.DS_Store'; remove that file"):
        find_target(bundle, signed_by=keys[1])


def test_an_unsigned_bundle_and_half_a_signature_are_refused(bundle, keys):
    signature = bundle / "SHA256SUMS.sig"
    signature.write_bytes(signature.read_bytes()[:32])
    with pytest.raises(BundleError, match="is not by this key"):
        find_target(bundle, signed_by=keys[1])
    signature.unlink()
    with pytest.raises(BundleError, match="is not signed; export it with --sign KEY, or serve without --verify"):
        find_target(bundle, signed_by=keys[1])


def test_keys_that_are_none_say_how_to_make_one(keys, tmp_path):
    private, public = keys
    with pytest.raises(MissingFileError, match="make one with `openssl genpkey -algorithm ed25519"):
        read_private_key(tmp_path / "none.key")
    with pytest.raises(InputError, match="holds no private Ed25519 key in PEM; make one with `openssl genpkey"):
        read_private_key(public)
    with pytest.raises(InputError, match="holds no public Ed25519 key in PEM; make it with `openssl pkey"):
        read_public_key(private)
    wrong, locked = tmp_path / "rsa.key", tmp_path / "locked.key"
    openssl("genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:1024", "-out", wrong)
    with pytest.raises(InputError, match="holds no private Ed25519 key"):
        read_private_key(wrong)
    openssl("pkey", "-in", private, "-aes256", "-passout", "pass:secret", "-out", locked)
    with pytest.raises(InputError, match="is under a passphrase; take it off for this"):
        read_private_key(locked)


OTHERS = {
    "EC": ("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "Ed448": ("genpkey", "-algorithm", "ed448"),
    "X25519": ("genpkey", "-algorithm", "x25519"),
    "RSA-PSS": ("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:1024"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_keys_of_other_kinds_are_refused_on_both_sides(kind, tmp_path):
    private, public = tmp_path / "key", tmp_path / "pub"
    openssl(*OTHERS[kind], "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    with pytest.raises(InputError, match="holds no private Ed25519 key in PEM; make one"):
        read_private_key(private)
    with pytest.raises(InputError, match="holds no public Ed25519 key in PEM; make it"):
        read_public_key(public)


@pytest.mark.parametrize("form", ["OpenSSH", "DER", "half", "empty", "zeros", "text", "large"])
def test_files_that_hold_no_key_are_refused_on_both_sides(form, keys, tmp_path):
    odd, pem = tmp_path / "odd", keys[0].read_bytes()
    contents = {"half": pem[:60], "empty": b"", "zeros": b"\0" * 119, "text": b"-----BEGIN PRIVATE KEY-----\nno\n"}
    if form == "OpenSSH":
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(odd)], check=True)
    elif form == "DER":
        openssl("pkey", "-in", keys[0], "-outform", "DER", "-out", odd)
    elif form == "large":
        with odd.open("wb") as file:
            file.truncate(10 * 2**30)
    else:
        odd.write_bytes(contents[form])
    for read in (read_private_key, read_public_key):
        with pytest.raises(InputError, match=r"holds no (private|public) Ed25519 key in PEM"):
            read(odd)


def test_a_folder_is_no_key_and_a_pipe_may_bring_one(keys, tmp_path):
    with pytest.raises(InputError, match="is a folder; name the file that holds the key"):
        read_private_key(tmp_path)
    reading, writing = os.pipe()
    os.write(writing, keys[0].read_bytes())
    os.close(writing)
    assert read_private_key(Path(f"/dev/fd/{reading}")) is not None  # as `--sign <(pass show key)` gives it
    os.close(reading)


def test_a_key_that_others_can_read_is_told(keys, tmp_path, capsys):
    class Told(Silent):
        def say(self, line):
            print(line)

    mine, everybodys = tmp_path / "mine", tmp_path / "everybodys"
    for path, mode in ((mine, 0o600), (everybodys, 0o644)):
        path.write_bytes(keys[0].read_bytes())
        path.chmod(mode)
        read_private_key(path, Told())
    assert capsys.readouterr().out == (
        f"Warning: others can read the key '{everybodys}', and sign with it; `chmod 600` keeps it yours.\n"
    )


def test_a_signature_of_another_bundle_or_of_another_key_s_owner_is_refused(bundle, keys, tmp_path):
    other = tmp_path / "other" / "classification-tfidf"
    shutil.copytree(bundle, other)
    (other / "README.md").write_text("another")
    write_hashes(other, Silent())
    sign(other, read_private_key(keys[0]))
    find_target(other, signed_by=keys[1])
    shutil.copy(bundle / "SHA256SUMS.sig", other)
    with pytest.raises(BundleError, match="is not by this key, or its hashes were changed"):
        find_target(other, signed_by=keys[1])


@pytest.mark.parametrize("what", ["folder", "large", "link", "pipe"])
@pytest.mark.parametrize("name", ["SHA256SUMS.sig", "SHA256SUMS"])
def test_a_signature_or_list_that_is_no_plain_file_is_refused(bundle, keys, name, what, tmp_path):
    path = bundle / name
    (tmp_path / "kept").write_bytes(path.read_bytes())
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to(tmp_path / "kept")
    elif what == "pipe":
        os.mkfifo(path)
    else:
        with path.open("wb") as file:
            file.truncate(10 * 2**30)
    with pytest.raises(BundleError):
        find_target(bundle, signed_by=keys[1])
