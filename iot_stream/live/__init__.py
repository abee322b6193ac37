"""Watch, on this machine: the dashboard as a local page that refreshes by itself, and the pipeline's own state."""
