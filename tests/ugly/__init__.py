"""Corpora with every fault of the catalogue in `docs/ugly-corpora.md`, planted on purpose and from a seed.

`python -m tests.ugly FOLDER` writes one; `tests/test_ugly.py` sends one through prepare and validate.
"""
