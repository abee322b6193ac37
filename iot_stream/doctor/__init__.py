"""Check the layers that a reading passes through, in order, and name the first one that fails with its fix."""
