"""Show which operations a training step of a model spends its time in, and how long its arithmetic takes.

    python bench/operations.py [--out FILE] [MODEL ...]

It runs on one thread. The time of an operation leaves out that of the operations inside it. *Products* are
the operations that multiply and add; beside their time stands the time of a 2048 x 2048 matrix product,
scaled to as many floating-point operations.
"""

import argparse
import itertools
import json
import time
from pathlib import Path

import torch
from speed import flop, matmul
from torch.profiler import ProfilerActivity, profile
from versions import endless_steps

from mnistctl import models
from mnistctl.nn.device import hardware_info, tune_malloc

STEPS = {"logit": 500, "linear": 200, "conv": 10, "simple": 3, "lstm": 40}
PRODUCTS = {"addmm", "mm", "mkldnn_convolution", "convolution_backward"}
PRODUCTS |= {"mkldnn_rnn_layer", "mkldnn_rnn_layer_backward"}


def measure(name: str) -> dict[str, object]:
    """Milliseconds of a step of a model, of its largest operations, and of its arithmetic."""
    count, (steps, _, _) = STEPS[name], endless_steps(name, "float32")
    list(itertools.islice(steps, max(2, count // 10)))  # warm up
    started = time.perf_counter()
    list(itertools.islice(steps, count))
    whole = (time.perf_counter() - started) / count
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        list(itertools.islice(steps, count))
    times = {
        event.key.removeprefix("aten::"): event.self_cpu_time_total / 1e3 / count
        for event in profiled.key_averages()
    }
    recipe = models.load(name)
    return {
        "milliseconds_of_a_step": round(1e3 * whole, 3),
        "products": round(sum(times.get(key, 0) for key in PRODUCTS), 3),
        "as_a_matrix_product": round(1e3 * flop(name, recipe) * recipe.batch_size / matmul(9), 3),
        "operations": {
            key: round(value, 3)
            for key, value in sorted(times.items(), key=lambda item: -item[1])
            if value > 0.01 * sum(times.values())
        },
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(STEPS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    tune_malloc()
    torch.set_num_threads(1)
    results = {}
    for name in options.models:
        results[name] = measure(name)
        print(name, json.dumps(results[name]), flush=True)
    body = {
        "command": f"python bench/operations.py {' '.join(options.models)}",
        "machine": hardware_info() | {"threads": 1, "torch": torch.__version__},
        "models": results,
    }
    if options.out:
        options.out.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
