"""The index template, which shapes every new index of the stream; existing indices stay as they are.

Contract: OpenSearch documentation, "Index templates".
"""

from typing import override

from role_mapper import files
from role_mapper.domain import Domain, path
from role_mapper.errors import UnexpectedResponseError
from role_mapper.objects import stream_indices
from role_mapper.objects.managed import Document, ManagedObject
from role_mapper.ownership import Owner, Ownership
from role_mapper.properties import Properties
from role_mapper.report import ALERTS_INDEX_TEMPLATE, INDEX_TEMPLATE

__all__ = ["AlertsIndexTemplate", "IndexTemplate", "Template"]


class Template(ManagedObject):
    """A template of the domain, of either sort: a GET lists it by name, and its `_meta` describes it.

    Args:
        sort: `index_template` or `component_template`.
    """

    def __init__(self, domain: Domain, owner: Owner, name: str, sort: str, *, adopt: bool) -> None:
        title = f"{sort.replace('_', ' ')} {name}"
        super().__init__(domain, owner, name, title, path(f"_{sort}", name), adopt=adopt)
        self._sort = sort

    @override
    def find(self) -> Document | None:
        body = self.domain.get(self.path)
        if body is None:
            return None
        for each in body.get(f"{self._sort}s") or ():
            if isinstance(each, dict) and each.get("name") == self.name and isinstance(each.get(self._sort), dict):
                template: Document = each[self._sort]
                return template
        raise UnexpectedResponseError(f"GET {self.path}", f"a JSON object without the {self._sort} {self.name!r}")

    @override
    def description(self, found: Document) -> object:
        return (found.get("_meta") or {}).get("description")


class _ComposableTemplate(Template):
    """A composable index template, compared key by key."""

    def __init__(self, domain: Domain, owner: Owner, properties: Properties, name: str) -> None:
        super().__init__(domain, owner, name, "index_template", adopt=properties.take_over)
        self._properties = properties

    @override
    def deviation(self, found: Document, desired: Document) -> str:
        parts = [key for key in sorted({*desired, *found}) if found.get(key, []) != desired.get(key, [])]
        return f"it differs in {', '.join(parts)}"

    @override
    def same(self, found: Document, desired: Document) -> bool:
        """Return whether the templates are equal; the domain adds an empty `composed_of`."""
        return {key: value for key, value in found.items() if value != []} == desired


class IndexTemplate(_ComposableTemplate):
    """The template of the stream's indices.

    Attributes:
        before: as it was when it was first looked at, before this request changed it.
    """

    kind = INDEX_TEMPLATE

    def __init__(self, domain: Domain, owner: Owner, properties: Properties) -> None:
        super().__init__(domain, owner, properties, properties.index_name)
        self._looked = False
        self.before: Document | None = None

    @override
    def find(self) -> Document | None:
        found = super().find()
        if not self._looked:
            self._looked, self.before = True, found
        return found

    @override
    def desired(self, ownership: Ownership) -> Document:
        alias = self.name if self._properties.rolls_over and stream_indices.are_managed(self.domain) else ""
        description = self.owner.sign("Fields of the device readings.", ownership)
        return files.index_template(self._properties, description, alias)


class AlertsIndexTemplate(_ComposableTemplate):
    """The template of the index that the alerts function writes."""

    kind = ALERTS_INDEX_TEMPLATE

    def __init__(self, domain: Domain, owner: Owner, properties: Properties) -> None:
        super().__init__(domain, owner, properties, properties.alerts_index)

    @override
    def desired(self, ownership: Ownership) -> Document:
        return files.alerts_template(self._properties, self.owner.sign("Alerts on devices, and devices.", ownership))
