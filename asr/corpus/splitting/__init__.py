"""What must not stand on two sides of a split, and the proof that it does not."""
