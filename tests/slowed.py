"""mnistctl with a pause before every step, for tests that stop it: python slowed.py SECONDS WORDS..."""

import sys
import time

from mnistctl.__main__ import main
from mnistctl.training import classifier, gan

pause = float(sys.argv.pop(1))


def slowed(step):
    def slowly(*given):
        time.sleep(pause)
        return step(*given)

    return slowly


classifier.train_step = slowed(classifier.train_step)
gan.train_step = slowed(gan.train_step)
main()
