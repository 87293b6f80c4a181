"""Trials: one recipe trained from many seeds, and the statistics of the results."""
