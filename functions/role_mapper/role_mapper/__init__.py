"""Access: lets the delivery role write to the domain, and prepares the domain for it."""
