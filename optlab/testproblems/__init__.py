"""Test problems as data: source, start, formula, known optimum."""
