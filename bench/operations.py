"""Show which operations a training step of a model spends its time in, beside their arithmetic.

    python bench/operations.py [--steps N] [--out FILE] [MODEL ...]

It runs on one thread. Each of torch's operations has its own time, without that of the operations inside it.
For those that multiply and add (convolutions, matrix products, LSTM layers), the result also has how long
a 2048 x 2048 matrix product needs for as many operations.
"""

import argparse
import itertools
import json
import time
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from versions import endless_steps

from mnistctl.nn.device import hardware_info, tune_malloc

MODELS = {"logit": 500, "linear": 200, "conv": 5, "simple": 2, "lstm": 20}  # steps
SIZE = 2048


def product_gigaflops() -> float:
    """Billions of floating-point operations per second of a large matrix product."""
    a = torch.randn(SIZE, SIZE)
    a @ a
    seconds = []
    for _ in range(9):
        started = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - started)
    return 2 * SIZE**3 / sorted(seconds)[len(seconds) // 2] / 1e9


def measure(name: str, count: int) -> dict[str, object]:
    """Milliseconds of a step of a model, those of its operations, and the arithmetic of its products."""
    steps, _, _ = endless_steps(name, "float32")
    for _ in itertools.islice(steps, max(2, count // 10)):  # warm up
        pass
    started = time.perf_counter()
    for _ in itertools.islice(steps, count):
        pass
    whole = (time.perf_counter() - started) / count
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in itertools.islice(steps, count):
            pass
    times = {
        event.key.removeprefix("aten::"): event.self_cpu_time_total / 1e3 / count
        for event in profiled.key_averages()
    }
    with FlopCounterMode(display=False) as counter:
        next(steps)
    gigaflops = product_gigaflops()
    arithmetic = {
        str(operation).removeprefix("aten."): flops / gigaflops / 1e6
        for operation, flops in counter.get_flop_counts()["Global"].items()
    }
    return {
        "milliseconds_of_a_step": round(1e3 * whole, 3),
        "milliseconds_of_operations": {
            key: round(value, 3)
            for key, value in sorted(times.items(), key=lambda item: -item[1])
            if value > 0.01 * sum(times.values())
        },
        "milliseconds_as_a_product": {key: round(value, 3) for key, value in arithmetic.items()},
        "product_gigaflops": round(gigaflops),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--steps", type=int)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    tune_malloc()
    torch.set_num_threads(1)
    body = {
        "command": f"python bench/operations.py {' '.join(options.models)}",
        "machine": hardware_info() | {"threads": 1, "torch": torch.__version__},
        "models": {name: measure(name, options.steps or MODELS[name]) for name in options.models},
    }
    text = json.dumps(body, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
