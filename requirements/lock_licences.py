"""Write requirements/licences.json: the licence of every distribution that a lock names, as its metadata has it.

`make lock` runs this. It installs each lock into a folder of its own, for this machine and for Macs with Intel's
processors, which have versions of their own. tests/unit/test_licences.py reads the result, and needs none of them.
"""

import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from iot_stream.paths import PROJECT

LICENCES = PROJECT / "requirements" / "licences.json"
OTHER_PLATFORM = ["--python-platform", "x86_64-apple-darwin", "--only-binary", ":all:"]
RUN_ANYWHERE = {"run", "ministack"}  # `make lock` makes sure that these have wheels for each platform


def locked(*patterns: str) -> set[str]:
    """Return each `name==version` of the locks, which uv writes with normalized names."""
    texts = [path.read_text(encoding="utf-8") for pattern in patterns for path in PROJECT.glob(pattern)]
    return {pin for text in texts for pin in re.findall(r"^([A-Za-z0-9]\S*==[^\s;\\]+)", text, re.MULTILINE)}


def installed(folder: Path) -> dict[str, str]:
    """Return the licence of each distribution in a folder of packages, by `name==version`."""
    found = {}
    for distribution in importlib.metadata.distributions(path=[str(folder)]):
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        found[f"{name}=={distribution.version}"] = licence(distribution.metadata)
    return found


def licence(metadata: importlib.metadata.PackageMetadata) -> str:
    """Return what a distribution's metadata says of its licence: the expression, else classifiers, else free text."""
    if expression := metadata.get("License-Expression"):
        return str(expression)
    if named := [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]:
        return " AND ".join(named)
    return (metadata.get("License") or "").partition("\n")[0]


def _collect(lock: Path, options: list[str]) -> dict[str, str]:
    with tempfile.TemporaryDirectory(dir=PROJECT / "build") as folder:
        uv = [Path(sys.executable).parent / "uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*uv, "--target", folder, *options, "-r", lock], check=True)
        return installed(Path(folder))


def main() -> None:
    """Collect the licences of all locks."""
    (PROJECT / "build").mkdir(exist_ok=True)
    found: dict[str, str] = {}
    for lock in sorted([*PROJECT.glob("requirements/*.txt"), *PROJECT.glob("functions/*/requirements.txt")]):
        for options in [[], OTHER_PLATFORM] if lock.stem in RUN_ANYWHERE else [[]]:
            found |= _collect(lock, options)
    LICENCES.write_text(json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
