"""Error rates from pairs of texts; imports no deep-learning library."""
