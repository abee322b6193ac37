"""What runs in ministack's own interpreter."""
