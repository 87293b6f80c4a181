"""SimpNet with stochastic weight averaging over its last epochs: 1,022,656 parameters.

After 75 epochs: 99.640 % of MNIST's test images, one seed.
Record: records/wsimple.json
"""

from dataclasses import replace

from mnistctl.models import simple

# The average is over the weights after epochs 51 to 75. The statistics of batch norm are then recomputed.
recipe = replace(simple.recipe, epochs=75, peak_lr=0.002, swa_fraction=1 / 3, baseline=simple.recipe)
