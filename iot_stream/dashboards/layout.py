"""Place panels on the dashboard's grid of 48 columns. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["COLUMNS", "Grid", "arrange"]

COLUMNS = 48


@dataclass(frozen=True)
class Grid:
    """A place on the dashboard, in columns of 48 and rows of 20 pixels (OpenSearch Dashboards' own units)."""

    x: int
    y: int
    w: int
    h: int


def arrange(rows: Sequence[Sequence[tuple[int, int]]], beside: Grid) -> tuple[list[Grid], int]:
    """Return the place of each panel, in order, and the first free row below them.

    A row whose panels don't fit continues in the next line; the panels of a line are stretched to fill it.

    Args:
        rows: width and height of each panel.
        beside: what stands at the left of the first line.
    """
    grids: list[Grid] = []
    y = 0
    left = beside.x + beside.w
    for row in rows:
        for line in _lines(row, COLUMNS - left):
            height = max(h for _, h in line)
            free = COLUMNS - left
            total = sum(w for w, _ in line)
            used = 0
            for number, (w, _) in enumerate(line):
                width = free - used if number == len(line) - 1 else w * free // total
                grids.append(Grid(left + used, y, width, height))
                used += width
            y += height
            left = 0
    return grids, y


def _lines(row: Sequence[tuple[int, int]], room: int) -> list[list[tuple[int, int]]]:
    lines: list[list[tuple[int, int]]] = []
    for size in row:
        if lines and sum(w for w, _ in lines[-1]) + size[0] <= room:
            lines[-1].append(size)
        else:
            lines.append([size])
    return lines
