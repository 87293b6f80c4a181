"""The entry point, before torch loads."""

import subprocess
import sys

import pytest

CODE = """
import os, sys
import mnistctl.__main__ as entry
entry._limit_spinning()
assert "torch" not in sys.modules
print(os.environ.get("GOMP_SPINCOUNT"), os.environ.get("OMP_WAIT_POLICY"))
"""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "20000 None"),
        ({"OMP_NUM_THREADS": "2"}, "20000 None"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None ACTIVE"),
        ({"GOMP_SPINCOUNT": "100"}, "100 None"),
        ({"KMP_BLOCKTIME": "0"}, "None None"),
        ({"KMP_LIBRARY": "throughput"}, "None None"),
    ],
)
def test_waiting_threads_soon_sleep_unless_the_user_says_otherwise(variables, expected):
    ran = subprocess.run(
        [sys.executable, "-c", CODE], env=variables, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == expected
