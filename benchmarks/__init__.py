"""Measurements against named peers; each script is one command and writes a dated record to `results/`."""
