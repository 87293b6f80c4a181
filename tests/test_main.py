"""The entry point, before torch loads."""

import subprocess
import sys

import pytest

CODE = """
import os, sys
import mnistctl.__main__ as entry
entry._let_waiting_threads_sleep()
assert "torch" not in sys.modules
print(os.environ.get("OMP_WAIT_POLICY"))
"""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "PASSIVE"),
        ({"OMP_NUM_THREADS": "2"}, "PASSIVE"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"),
        ({"GOMP_SPINCOUNT": "100"}, "None"),
        ({"KMP_BLOCKTIME": "0"}, "None"),
        ({"KMP_LIBRARY": "throughput"}, "None"),
    ],
)
def test_waiting_threads_sleep_unless_the_user_says_otherwise(variables, expected):
    ran = subprocess.run(
        [sys.executable, "-c", CODE], env=variables, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == expected
