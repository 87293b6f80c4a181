"""The net of conv with stochastic weight averaging over its last epochs: 431,080 parameters.

After 50 epochs: 99.593 % of MNIST's test images, mean of 40 seeds (SD 0.029).
Record: records/trials-swa-40.jsonl
"""

from dataclasses import replace

from mnistctl.models import conv

# The average is over the weights after epochs 31 to 50. Trials compare it with conv.
recipe = replace(conv.recipe, swa_fraction=0.4, baseline=conv.recipe)
