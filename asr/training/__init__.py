"""The training loop and its parts (stage train)."""
