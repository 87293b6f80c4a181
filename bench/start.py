"""Time a short run as it is and with torch's compiler loaded: python bench/start.py [FILE].

Two kinds of processes take turns: `mnistctl train logit` for one epoch of the sample, and the same after
`import torch._dynamo`, which torch loads when an optimizer is made in the ordinary way.
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
VARIANTS = {"ours": RUN, "with the compiler": f"import torch._dynamo; {RUN}"}


def main() -> None:
    """Time both in turn; print and write the medians and the median ratio."""
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(ROUNDS):
        for name, code in VARIANTS.items():
            with tempfile.TemporaryDirectory() as folder:
                arguments = ["train", "logit", "--dataset", "sample", "--epochs", "1", "--out-dir", folder]
                start = time.perf_counter()
                subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)
                times[name].append(time.perf_counter() - start)
    ours, with_compiler = times.values()
    body = {
        "command": "python bench/start.py",
        "machine": hardware_info() | {"threads": torch.get_num_threads(), "torch": torch.__version__},
        "rounds": ROUNDS,
        "seconds": {name: round(statistics.median(seconds), 2) for name, seconds in times.items()},
        "times_as_long": round(
            statistics.median(slow / fast for slow, fast in zip(with_compiler, ours, strict=True)), 2
        ),
    }
    print(json.dumps(body, indent=1))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
