"""The embedded corpus of synthesised Azerbaijani."""
