"""Walk the way of a reading in order, and name the first layer that refuses, with what mends it."""
