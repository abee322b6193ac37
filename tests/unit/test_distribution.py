"""OpenSearch is put together only from files with the pinned hashes, as the distribution lays them out."""

import hashlib
import json
import os
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from iot_stream.errors import SetupError
from iot_stream.local import distribution

JAR, ZIP = b"a jar", "org.example:security:1@zip"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class _Registry:
    """Packages by coordinate; each download may get different bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.downloads: dict[str, list[bytes]] = {}

    def download(self, coordinate: str) -> Path:
        name, _, packaging = coordinate.partition("@")
        file = self.folder / f"{name.replace(':', '-')}.{packaging or 'jar'}"
        if not file.exists():
            downloads = self.downloads[coordinate]
            file.write_bytes(downloads.pop(0) if len(downloads) > 1 else downloads[0])
        return file


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Registry:
    """A registry with one jar and one plugin, and a lock that pins them."""
    archive = tmp_path / "plugin.zip"
    with zipfile.ZipFile(archive, "w") as plugin:
        plugin.writestr("plugin-descriptor.properties", "name=security\nextended.plugins=not-to-be-had;optional=true\n")
        plugin.writestr("inside.jar", b"inside")
    cache = tmp_path / "cache"
    cache.mkdir()
    registry = _Registry(cache)
    registry.downloads = {"org.example:core:1": [JAR], "org.example:module:1": [JAR], ZIP: [archive.read_bytes()]}
    folders: dict[str, Any] = {
        "lib": {"files": {"org.example:core:1": _digest(JAR)}},
        "modules/transport": {"classname": "org.example.Plugin", "files": {"org.example:module:1": _digest(JAR)}},
        "plugins/security": {"files": {ZIP: _digest(archive.read_bytes())}},
    }
    lock = tmp_path / "lock.json"
    lock.write_text(json.dumps({"version": "9.9.9", "folders": folders}))
    monkeypatch.setattr(distribution, "LOCK", lock)
    monkeypatch.setattr(distribution, "LOCAL", tmp_path / "clone" / ".local")
    monkeypatch.setattr(distribution, "DOWNLOADS", cache)
    monkeypatch.setattr(distribution, "download", registry.download)
    return registry


def test_files_are_laid_out_as_in_the_distribution(registry: _Registry) -> None:
    """Jars in lib, a descriptor in each module, the plugin unpacked and freed of what no registry has."""
    home = distribution.assemble()
    assert (home / "lib" / "org.example-core-1.jar").read_bytes() == JAR
    module = (home / "modules" / "transport" / "plugin-descriptor.properties").read_text()
    assert "classname=org.example.Plugin\n" in module
    assert "opensearch.version=9.9.9\n" in module
    plugin = home / "plugins" / "security"
    assert (plugin / "inside.jar").read_bytes() == b"inside"
    assert (plugin / "plugin-descriptor.properties").read_text() == "name=security\nextended.plugins=\n"
    assert registry.downloads.keys() == {"org.example:core:1", "org.example:module:1", ZIP}


def test_it_is_made_once(registry: _Registry) -> None:
    """A second call finds it and downloads nothing."""
    said: list[str] = []
    home = distribution.assemble(said.append)
    registry.downloads.clear()
    assert distribution.assemble(said.append) == home
    assert len(said) == 1


def test_a_cut_download_is_fetched_once_more(registry: _Registry) -> None:
    """What an interrupted download left in the cache does not stay in the way."""
    registry.downloads["org.example:core:1"] = [b"a j", JAR]
    home = distribution.assemble()
    assert (home / "lib" / "org.example-core-1.jar").read_bytes() == JAR


def test_an_altered_download_is_refused_with_both_hashes(registry: _Registry) -> None:
    """It names the package, what came and what is pinned, and leaves no half-made OpenSearch."""
    registry.downloads["org.example:module:1"] = [b"something else"]
    words = f"org.example:module:1 has SHA-256 {_digest(b'something else')}, but lock.json pins {_digest(JAR)}"
    with pytest.raises(SetupError, match=re.escape(words)):
        distribution.assemble()
    assert not list(distribution.LOCAL.glob("opensearch-*"))


def test_a_download_that_changes_before_it_is_laid_out_is_refused(
    registry: _Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes that are written are the bytes that were verified."""
    verified, seen = distribution._verified, set()

    def then_altered(coordinate: str, digest: str) -> Path:
        file = verified(coordinate, digest)
        seen.add(coordinate)
        if len(seen) == len(registry.downloads):  # the last one
            (registry.folder / "org.example-core-1.jar").write_bytes(b"altered later")
        return file

    monkeypatch.setattr(distribution, "_verified", then_altered)
    monkeypatch.setattr(distribution, "ThreadPoolExecutor", lambda _: ThreadPoolExecutor(1))
    with pytest.raises(SetupError, match=f"core:1 has SHA-256 {_digest(b'altered later')}"):
        distribution.assemble()
    assert not list(distribution.LOCAL.glob("opensearch-*"))


@pytest.mark.parametrize("what", ["changed", "added", "linked", "hidden", "removed", "list"])
def test_an_altered_file_of_the_assembled_distribution_is_noticed(registry: _Registry, what: str) -> None:
    """Also one that keeps its size and time; the line names it and says what to do."""
    assert registry
    home = distribution.assemble()
    file = home / "plugins" / "security" / "inside.jar"
    if what == "changed":
        times = file.stat()
        file.write_bytes(b"INSIDE")
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    elif what == "added":
        file.with_name("another.jar").write_bytes(b"evil")
    elif what == "linked":
        (home / "plugins" / "another").symlink_to(registry.folder)
    elif what == "hidden":
        (home / "plugins" / "files.json").write_bytes(b"evil")
    elif what == "removed":
        file.unlink()
    else:
        (home / "files.json").write_text("{")
    names = {"added": "another.jar", "linked": "plugins/another", "hidden": "plugins/files.json"}
    named = "can't be read" if what == "list" else f"1 of the files .*{names.get(what, 'inside.jar')}"
    with pytest.raises(SetupError, match=rf"{named}.*delete that folder"):
        distribution.assemble()


@pytest.mark.usefixtures("registry")
def test_nobody_else_can_enter_downloads_and_distribution() -> None:
    """Other users could put code into them, which then runs as the user."""
    distribution.DOWNLOADS.chmod(0o777)
    home = distribution.assemble()
    assert [folder.stat().st_mode & 0o777 for folder in (home, distribution.DOWNLOADS)] == [0o700, 0o700]


def test_a_download_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the package, the reason and what to do."""

    class _Offline:
        def __init__(self, **_: Any) -> None:
            pass

        def project(self, *_: str) -> Any:
            raise RuntimeError("not found in remote repositories")

    monkeypatch.setattr(distribution, "MavenContext", _Offline)
    with pytest.raises(SetupError, match=r"could not download a:b:1: not found .* Check the network"):
        distribution.download("a:b:1")


def test_the_lock_pins_every_file_and_names_no_host() -> None:
    """Coordinates and hashes only: where they come from is the machine's own configuration."""
    text = distribution.LOCK.read_text()
    assert "://" not in text
    for folder in json.loads(text)["folders"].values():
        for coordinate, digest in folder["files"].items():
            assert re.fullmatch(r"[\w.-]+:[\w.-]+:[\w.-]+(@zip)?", coordinate)
            assert re.fullmatch(r"[0-9a-f]{64}", digest)


def test_a_full_disk_is_said_and_leaves_nothing_half_done(registry: _Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and no folder that the next start would take for OpenSearch, or never clear away."""
    assert registry

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(distribution, "_lay_out", full)
    with pytest.raises(SetupError, match=r"could not be assembled in .*: .*No space left on device"):
        distribution.assemble()
    assert not list(distribution.LOCAL.glob("opensearch-*"))
