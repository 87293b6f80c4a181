"""How good a trained net is."""
