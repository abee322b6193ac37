"""Where Chromium is on this machine."""

import os
import shutil

__all__ = ["chromium_path"]


def chromium_path() -> str | None:
    """Return Chromium's path, or None; $CHROMIUM names another."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
