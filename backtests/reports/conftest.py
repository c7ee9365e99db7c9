"""Notebooks are run by `tests/test_notebooks.py`; whoever collects doctests must not import them."""

collect_ignore_glob = ["*.py"]
