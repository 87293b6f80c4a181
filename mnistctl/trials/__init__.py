"""One recipe trained from many seeds, and the statistics."""
