"""How long a short run takes, as it is and with torch's compiler loaded: python bench/start.py [FILE].

Each is a process of its own, in turn: `mnistctl train logit` over one epoch of the sample, and the same
behind `import torch._dynamo`, which any optimizer made or read in the ordinary way brings in.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from mnistctl.nn.device import hardware_info

ROUNDS = 15
RUN = "import sys; from mnistctl.__main__ import main; sys.argv = ['mnistctl', *sys.argv[1:]]; main()"
WAYS = {"ours": RUN, "with the compiler": f"import torch._dynamo; {RUN}"}


def main() -> None:
    """Time both ways in turn; print and write the medians and the median ratio."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way, code in WAYS.items():
            with tempfile.TemporaryDirectory() as folder:
                words = ["train", "logit", "--dataset", "sample", "--epochs", "1", "--out-dir", folder]
                began = time.perf_counter()
                subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True)
                times[way].append(time.perf_counter() - began)
    ours, loaded = times.values()
    body = {
        "command": "python bench/start.py",
        "machine": hardware_info() | {"threads": torch.get_num_threads(), "torch": torch.__version__},
        "rounds": ROUNDS,
        "seconds": {way: round(statistics.median(taken), 2) for way, taken in times.items()},
        "times_as_long": round(
            statistics.median(one / other for one, other in zip(loaded, ours, strict=True)), 2
        ),
    }
    print(json.dumps(body, indent=1))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
