"""mnistctl with a pause before every training step: python slowed.py SECONDS ARGUMENTS..."""

import sys
import time

from mnistctl.__main__ import main
from mnistctl.training import classifier, gan

pause = float(sys.argv.pop(1))


def slowed(step):
    def slow_step(*arguments):
        time.sleep(pause)
        return step(*arguments)

    return slow_step


classifier.train_step = slowed(classifier.train_step)
gan.train_step = slowed(gan.train_step)
main()
