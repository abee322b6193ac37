"""Where the project, its downloads and its running state are. The project writes nowhere else."""

import os
from pathlib import Path

__all__ = ["DOWNLOADS", "LOCAL", "MINISTACK_PYTHON", "PROJECT"]

PROJECT = Path(__file__).resolve().parents[1]
LOCAL = PROJECT / ".local"
MINISTACK_PYTHON = LOCAL / "venv-ministack" / "bin" / "python"

# Downloads are shared by all clones of a user, in the usual per-user cache.
DOWNLOADS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "iot-stream"
