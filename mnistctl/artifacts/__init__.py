"""Files that are written: atomic files, checkpoints, records, grids, charts."""
