"""Samples of what processes use over time, and a picture of them."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import vl_convert

__all__ = ["Sampler", "draw"]

_SCALE = {"rss": 2**20, "log": 2**10}
_TITLES = {"rss": "memory, MiB", "threads": "threads", "fds": "open files", "log": "log, KiB", "backlog": "backlog"}


class Sampler:
    """Look every `interval` seconds at processes, their logs, and whatever else is counted, in a thread of its own."""

    def __init__(
        self,
        pids: Mapping[str, Callable[[], int]],
        logs: Mapping[str, Path],
        counts: Callable[[], Mapping[str, int]] = dict,
        interval: float = 1.0,
    ) -> None:
        self.rows: list[dict[str, Any]] = []
        self._pids, self._logs, self._counts, self._interval = pids, logs, counts, interval
        self._began = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> None:
        """Look no longer."""
        self._over.set()
        self._thread.join()

    def summary(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return first, highest and last value of each measure, by part."""
        found: dict[str, dict[str, list[float]]] = {}
        for row in self.rows:
            found.setdefault(row["part"], {}).setdefault(row["what"], []).append(row["value"])
        return {
            part: {what: {"first": of[0], "highest": max(of), "last": of[-1]} for what, of in measures.items()}
            for part, measures in found.items()
        }

    def _watch(self) -> None:
        while not self._over.wait(self._interval):
            for part, pid in self._pids.items():
                self._look(part, pid())
            for part, log in self._logs.items():
                # With what was rotated away.
                files = [file for file in (log, log.with_name(f"{log.name}.1")) if file.exists()]
                self._note(part, "log", sum(file.stat().st_size for file in files))
            for what, count in self._counts().items():
                self._note("delivery", what, count)

    def _look(self, part: str, pid: int) -> None:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                self._note(part, "rss", process.memory_info().rss)
                self._note(part, "threads", process.num_threads())
                self._note(part, "fds", process.num_fds())
        except psutil.Error:
            return  # killed just now

    def _note(self, part: str, what: str, value: float) -> None:
        value = round(value / _SCALE.get(what, 1), 2)
        self.rows.append({"at": round(time.monotonic() - self._began, 1), "part": part, "what": what, "value": value})


def draw(rows: list[dict[str, Any]], spans: list[dict[str, Any]], file: Path) -> None:
    """Write an SVG or PNG with one chart a measure; `spans` (`from`, `to`, `what`) are shaded in each."""
    band = {
        "data": {"values": spans},
        "mark": {"type": "rect", "opacity": 0.15, "color": "#d62728"},
        "encoding": {"x": {"field": "from", "type": "quantitative"}, "x2": {"field": "to"}},
    }
    charts = []
    for what, title in _TITLES.items():
        values = [row for row in rows if row["what"] == what]
        if values:
            line = {
                "data": {"values": values},
                "mark": {"type": "line", "strokeWidth": 1.5, "clip": True},
                "encoding": {
                    "x": {"field": "at", "type": "quantitative", "title": "seconds"},
                    "y": {"field": "value", "type": "quantitative", "title": title},
                    "color": {"field": "part", "type": "nominal", "title": None},
                },
            }
            charts.append({"width": 620, "height": 120, "layer": [band, line]})
    spec = {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "vconcat": charts, "background": "white"}
    svg = vl_convert.vegalite_to_svg(spec)
    file.write_bytes(bytes(vl_convert.svg_to_png(svg)) if file.suffix == ".png" else svg.encode())
