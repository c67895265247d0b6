"""From any source to clips, an index and leakage-safe splits (stages prepare and validate)."""
