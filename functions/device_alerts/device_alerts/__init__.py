"""Detect once a minute which devices are too hot, too cold, silent or have a wrong clock; notify the alarm topic."""
