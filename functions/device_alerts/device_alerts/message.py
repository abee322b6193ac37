"""The message of one run: what opened and what closed (pure).

Contract: Amazon SNS API reference, "Publish": a subject is ASCII without line breaks, of fewer than 100 characters; a
message has at most 256 KiB.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Message", "message", "repeated"]

_MOST_SUBJECT: Final = 99
_MOST_LINE: Final = 400
_NAMES: Final = {
    "too_high": "too high",
    "too_low": "too low",
    "silent": "silent",
    "clock_wrong": "clock wrong",
    "pipeline_late": "delivery late",
}


@dataclass(frozen=True)
class Message:
    """A message to publish.

    Attributes:
        id: stable across repeated publications.
        subject: the subject of the e-mail.
        text: the body of the e-mail.
        opened: number of alerts reported as opened.
        closed: number of alerts reported as closed.
    """

    id: str
    subject: str
    text: str
    opened: int
    closed: int


def message(index: str, first: int, last: int, opened: Mapping[str, Any], closed: Mapping[str, Any]) -> Message | None:
    """Return the message about the runs from `first` to `last`, None if nothing opened or closed in them.

    Args:
        index: the stream's index, which tells people which fleet it is.
        first: the first run.
        last: the last run.
        opened: the response to the search for alerts that opened in them (`queries.announcement`).
        closed: the same for those that closed.
    """
    counts = [response["hits"]["total"]["value"] for response in (opened, closed)]
    if not any(counts):
        return None
    said = [f"{count} {word}" for count, word in zip(counts, ("opened", "closed"), strict=True) if count]
    subject = f"Device alerts of {index}: {', '.join(said)}"
    parts = []
    for response, count, word in zip((opened, closed), counts, ("Opened", "Closed"), strict=True):
        if count:
            parts.append("\n".join(_part(response, count, word)))
    return Message(f"{index}:{first}-{last}", _ascii(subject)[:_MOST_SUBJECT], "\n\n".join(parts) + "\n", *counts)


def repeated(original: Message) -> Message:
    """Return a message that an interrupted run may or may not have published, with a note that says so."""
    note = f"This message may be a duplicate, because the run that sent it was interrupted. Its id is {original.id}."
    return Message(original.id, original.subject, f"{note}\n\n{original.text}", original.opened, original.closed)


def _part(response: Mapping[str, Any], count: int, word: str) -> list[str]:
    by_rule = {bucket["key"]: bucket["doc_count"] for bucket in response["aggregations"]["rules"]["buckets"]}
    kinds = ", ".join(f"{_NAMES.get(rule, rule)} {number}" for rule, number in sorted(by_rule.items()))
    lines = [f"{word}: {count} ({kinds})"]
    for hit in response["hits"]["hits"]:
        alert = hit["_source"]["alert"]
        closed = f" (closed {alert['closed_at']})" if word == "Closed" else ""
        lines.append(f"- {_line(alert['text'])}{closed}")
    more = count - len(response["hits"]["hits"])
    if more > 0:
        lines.append(f"- and {more} more: see the dashboard or `iot-stream alerts`")
    return lines


def _line(text: str) -> str:
    clean = "".join(character if character.isprintable() else "?" for character in text)
    return clean if len(clean) <= _MOST_LINE else clean[:_MOST_LINE] + "…"


def _ascii(text: str) -> str:
    return "".join(character if " " <= character <= "~" else "?" for character in text)
