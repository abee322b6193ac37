"""The index template, which shapes every new index of the stream; existing indices stay as they are.

Contract: OpenSearch documentation, "Index templates".
"""

from typing import override

from role_mapper import files
from role_mapper.domain import Domain, path
from role_mapper.errors import UnexpectedResponseError
from role_mapper.objects.managed import Document, ManagedObject
from role_mapper.ownership import Owner, Ownership
from role_mapper.properties import Properties
from role_mapper.report import INDEX_TEMPLATE

__all__ = ["IndexTemplate", "find_template"]


class IndexTemplate(ManagedObject):
    """The composable index template."""

    kind = INDEX_TEMPLATE

    def __init__(self, domain: Domain, owner: Owner, properties: Properties) -> None:
        name = properties.index_name
        super().__init__(domain, owner, name, f"index template {name}", adopt=properties.take_over)
        self._properties = properties
        self._path = path("_index_template", name)

    @override
    def find(self) -> Document | None:
        return find_template(self.domain, "index_template", self.name)

    @override
    def description(self, found: Document) -> object:
        return (found.get("_meta") or {}).get("description")

    @override
    def desired(self, ownership: Ownership) -> Document:
        return files.index_template(self._properties, self.owner.sign("Fields of the device readings.", ownership))

    @override
    def same(self, found: Document, desired: Document) -> bool:
        """Return whether they say the same; the domain adds an empty `composed_of`."""
        return {key: value for key, value in found.items() if value != []} == desired

    @override
    def write(self, desired: Document, found: Document | None) -> None:
        self.domain.call("PUT", self._path, desired)

    @override
    def delete(self, found: Document) -> None:
        self.domain.delete(self._path)


def find_template(domain: Domain, kind: str, name: str) -> Document | None:
    """Return one template, None if the domain says that there is none.

    Args:
        domain: where it is.
        kind: `index_template` or `component_template`.
        name: its name.

    Raises:
        UnexpectedResponseError: the response holds no template of that name.
    """
    where = path(f"_{kind}", name)
    body = domain.get(where)
    if body is None:
        return None
    for each in body.get(f"{kind}s") or ():
        if isinstance(each, dict) and each.get("name") == name and isinstance(each.get(kind), dict):
            template: Document = each[kind]
            return template
    raise UnexpectedResponseError(f"GET {where}", f"a JSON object without the {kind} {name!r}")
