"""Try readings with their description, write one from samples, and build the files that follow from it."""
