"""The command in a process of its own, and the processes that it starts."""

import os
import subprocess
import sys
import time

import stubs


def running(pids):
    """Those of the processes that still run after 20 seconds; zombies do not count."""
    deadline = time.monotonic() + 20
    while (alive := {pid for pid in pids if _runs(pid)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def _runs(pid):
    ps = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(ps.stdout.strip()) and not ps.stdout.startswith("Z")


class Session:
    """The command `trials logit --name t` with stub trials, in a process group as a terminal has it."""

    def __init__(self, own, tmp_path, *words):
        folders = ("--dataset", "own", "--data-dir", str(own), "--out-dir", str(tmp_path / "out"))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MNISTCTL_")}
        self.process = subprocess.Popen(
            [
                sys.executable,
                stubs.__file__,
                "trials",
                "logit",
                "--name",
                "t",
                "--epochs",
                "1",
                *folders,
                *words,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )

    def wait_for_line(self, *words):
        """Read the output up to a line that starts with these words."""
        for line in self.process.stdout:
            if line.split()[: len(words)] == list(words):
                return
        raise AssertionError(self.process.communicate()[1])

    def end(self):
        """Wait for the end: exit code, stdout, stderr."""
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err
