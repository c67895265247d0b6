"""Two systems on one test set: their predictions from any revision, and what may be said of the difference."""
