"""Decide once a minute which devices are too hot, too cold, silent or have a wrong clock, and tell the alarm topic."""
