"""mnistctl with a pause before every step, for tests that stop it: python slowed.py SECONDS WORDS..."""

import sys
import time

from mnistctl import adversarial, supervised
from mnistctl.__main__ import main

pause = float(sys.argv.pop(1))


def slowed(step):
    def slowly(*given):
        time.sleep(pause)
        return step(*given)

    return slowly


supervised._step = slowed(supervised._step)
adversarial.duel = slowed(adversarial.duel)
main()
