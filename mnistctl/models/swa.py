"""The net of conv with its last weights averaged (stochastic weight averaging): 431,080 parameters."""

from dataclasses import replace

from mnistctl.models import conv

recipe = replace(conv.recipe, swa_fraction=0.4, baseline=conv.recipe)  # epochs 31-50 of 50
