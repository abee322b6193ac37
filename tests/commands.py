"""Write docs/commands.md from the commands' own help: `python -m tests.commands` (`make docs`)."""

from collections.abc import Iterator

import click

from iot_stream.cli import cli
from iot_stream.paths import PROJECT

PAGE = PROJECT / "docs" / "commands.md"
_WIDTH = 110
_HEAD = """# Commands

What `iot-stream -h` and `iot-stream COMMAND -h` print. `make docs` writes this page, and a unit test compares it.
"""


def page() -> str:
    """Return the page: each command with its help."""
    return _HEAD + "".join(
        f"\n## {name}\n\n```text\n{help_text}\n```\n" for name, help_text in _commands(cli, "iot-stream", None)
    )


def _commands(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    """Yield the whole name and the help of a command, and of those below it."""
    settings = command.context_settings | {"terminal_width": _WIDTH, "max_content_width": _WIDTH}
    context = click.Context(command, parent, info_name=name.rpartition(" ")[2], **settings)
    yield name, command.get_help(context)
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from _commands(command.commands[inner], f"{name} {inner}", context)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
