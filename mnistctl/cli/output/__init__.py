"""Everything that is printed: results on stdout; progress, warnings and errors on stderr."""
