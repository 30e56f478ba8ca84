"""Experiments: ``python -m experiments.NAME``, flags and a config in, a page out."""
