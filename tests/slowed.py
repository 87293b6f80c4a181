"""mnistctl with a pause before every step, for tests that stop it: python slowed.py SECONDS WORDS..."""

import sys
import time

from mnistctl import supervised
from mnistctl.__main__ import main

step, pause = supervised._step, float(sys.argv.pop(1))


def slowly(*given):
    time.sleep(pause)
    return step(*given)


supervised._step = slowly
main()
