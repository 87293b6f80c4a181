"""Use a trained net: load, predict, sample, export."""
