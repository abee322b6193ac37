"""Text from devices, as a terminal may show it. Pure."""

__all__ = ["plain"]


def plain(value: object) -> str:
    """Return a value for a terminal: its control characters can't act there."""
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return "".join(char if char.isprintable() or char == " " else repr(char)[1:-1] for char in text)
