"""Build, load and save the networks and their tokenizers."""
