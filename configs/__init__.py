"""What experiments run: plain data, one file an experiment."""
