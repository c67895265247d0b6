"""One guard a hazard: NaN and infinity, memory that runs out, signals."""
