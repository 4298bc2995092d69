"""A believable quarter of one vendor: who takes part, what is to happen, and its performance through the public API."""
