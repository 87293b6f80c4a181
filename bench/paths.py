"""Whether the fast path learns what the plain one learns: conv, three epochs, six seeds, both ways.

    python bench/paths.py DATA_DIR [FILE]

The plain path is torch's own layers on the whole batch and its optimizer in its default form; the loop, the
order of the digits and the initial weights are the same, the dropout's draws are not.
"""

import json
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import torch

from mnistctl import compute, datasets, draws, models
from mnistctl.data import Digits
from mnistctl.events import Epoch
from mnistctl.supervised import Training, fit

CPU = torch.device("cpu")
SEEDS = range(6)
T_975 = 2.5706  # Student's t, 5 degrees of freedom, 97.5 %


def last_accuracy(seed: int, plain: bool, train: Digits, test: Digits) -> float:
    """Percent of the test digits read right after the last epoch."""
    recipe = replace(models.load("conv"), epochs=3)
    training = Training(recipe, seed, CPU)
    if plain:
        torch.manual_seed(draws.stream(seed, 0))
        training.net = recipe.net()
        training.weights = list(training.net.parameters())
        training.optimizer = recipe.optimizer(training.weights)
        training.slice = recipe.batch
    *_, last = (event for event in fit(training, recipe, train, test) if isinstance(event, Epoch))
    return last.accuracy


def main() -> None:
    """Train every seed both ways in turn; print and write the accuracies and their difference."""
    folder = Path(sys.argv[1])
    train, test = (Digits.of(datasets.load("mnist", folder, split)[0], CPU) for split in ("train", "test"))
    compute.keep_memory()
    pairs = []
    for seed in SEEDS:
        pairs.append([last_accuracy(seed, plain, train, test) for plain in (False, True)])
        print(f"seed {seed}: fast {pairs[-1][0]:.2f} %, plain {pairs[-1][1]:.2f} %", flush=True)
    differences = [fast - plain for fast, plain in pairs]
    mean = statistics.mean(differences)
    half = T_975 * statistics.stdev(differences) / len(differences) ** 0.5
    body = {
        "command": "python bench/paths.py",
        "recipe": "conv, 3 epochs",
        "machine": compute.machine() | {"threads": torch.get_num_threads(), "torch": torch.__version__},
        "fast": [fast for fast, _ in pairs],
        "plain": [plain for _, plain in pairs],
        "difference": mean,
        "interval": [mean - half, mean + half],  # 95 %, paired by seed
    }
    text = json.dumps(body, indent=1)
    print(text)
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(text + "\n")


if __name__ == "__main__":
    main()
