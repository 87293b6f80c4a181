"""What tests of the command line share."""

import pytest


@pytest.fixture
def run(mnistctl, own):
    """Run a command with the small data set, and check that an error is one line."""

    def command(*words):
        ran = mnistctl(*words, "--dataset", "own", "--data-dir", str(own), MNISTCTL_THREADS="1")
        assert ran.returncode == 0 or ran.stderr.count("\n") == 1, ran.stderr
        return ran

    return command
