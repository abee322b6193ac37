"""Ask the domain: who signs in, the cluster's health, and the live index."""

from time import monotonic, sleep
from typing import Any

import requests
from opensearchpy import OpenSearch as Client

from iot_stream.doctor.place import Place

__all__ = ["cluster", "index_facts", "reach", "sign_in"]

_SECONDS = 15
_RED_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 0.5


def reach(place: Place, endpoint: str) -> str:
    """Return why the domain's endpoint gives no HTTP response at all; empty where it does, whatever it says."""
    try:
        with place.session() as session:
            session.get(f"https://{endpoint}/", timeout=_SECONDS)
    except requests.exceptions.SSLError as error:
        return f"its certificate is not trusted: {error}"
    except requests.RequestException as error:
        return f"{type(error).__name__}: {error}"
    return ""


def sign_in(place: Place, endpoint: str, user: tuple[str, str]) -> int:
    """Return the HTTP status with which the security plugin says who a user is.

    Raises:
        RequestException: the endpoint does not respond.
    """
    with place.session() as session:
        response = session.get(f"https://{endpoint}/_plugins/_security/authinfo", auth=user, timeout=_SECONDS)
    return response.status_code


def cluster(client: Client) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the cluster's health, its nodes and their write queues."""
    nodes = client.cat.nodes(format="json", h="name,heap.percent,cpu,disk.used_percent", full_id="false")
    pools = client.cat.thread_pool(thread_pool_patterns="write", format="json", h="node_name,rejected")
    return _health(client), nodes, pools


def _health(client: Client) -> dict[str, Any]:
    """Return the cluster's health; it is red for a moment whenever an index is closed or opened (OpenSearch 3.4)."""
    health: dict[str, Any] = client.cluster.health()
    until = monotonic() + _RED_SECONDS
    while health["status"] == "red" and monotonic() < until:
        sleep(_LOOK_AGAIN_SECONDS)
        health = client.cluster.health()
    return health


def index_facts(client: Client, pattern: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the mappings of the indices of `pattern`, and what blocks writes: by index, `_cluster` for all."""
    mappings = client.indices.get_mapping(index=pattern, params={"ignore_unavailable": "true"})
    settings = client.indices.get_settings(
        index=pattern, name="index.blocks.*", params={"ignore_unavailable": "true", "flat_settings": "true"}
    )
    blocks = {index: _blocks(each["settings"]) for index, each in settings.items()}
    whole = client.cluster.get_settings(params={"flat_settings": "true"})
    blocks["_cluster"] = _blocks({**whole.get("persistent", {}), **whole.get("transient", {})})
    return mappings, {name: text for name, text in blocks.items() if text}


def _blocks(settings: dict[str, Any]) -> str:
    """Return the settings that block writes, in force."""
    reading = ("read", "metadata")  # these block no write of a document
    return ", ".join(
        name
        for name, value in settings.items()
        if ".blocks." in name and str(value) == "true" and name.rpartition(".")[2] not in reading
    )
