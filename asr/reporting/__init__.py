"""Pictures and summaries of results (stage plot)."""
