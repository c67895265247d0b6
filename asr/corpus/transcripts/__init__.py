"""Rules over transcripts, and the length of labels."""
