"""What the commands print: results on stdout; progress, warnings and errors on stderr."""
