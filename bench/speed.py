"""What a training pass costs beside the loops that people write.

    python bench/speed.py [--data-dir DIR] [--out FILE]

Every round times each way in turn, so that a busy neighbour slows all of them alike; ratios are medians over
the rounds. The ways: mnistctl's own pass (`ours`, and `bf16` where the processor has it); an eager loop over
index tensors (`plain`); a DataLoader over a TensorDataset (`loader`); a DataLoader whose data set makes
each item from a picture, as torchvision's MNIST with ToTensor and Normalize does (`pictures`). `mm` is a
product of two 2048 x 2048 matrices. Operations: 2 a multiply-add, forward and backward, none for the gradient
of the pixels.
"""

import argparse
import copy
import ctypes
import itertools
import json
import math
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from mnistctl import models
from mnistctl.data import datasets
from mnistctl.data.digits import Digits
from mnistctl.errors import UsageError
from mnistctl.models.recipe import NOISE_SIZE, ClassifierRecipe, GanRecipe
from mnistctl.nn import device
from mnistctl.nn.device import hardware_info, tune_malloc
from mnistctl.nn.fusion import FusedReLU, optimize_for
from mnistctl.training import gan
from mnistctl.training.classifier import ClassifierTraining, iterate_batches, train_step

CPU = torch.device("cpu")
STEPS = {  # a round's, in about half a second
    "logit": 600,
    "linear": 200,
    "conv": 4,
    "simple": 1,
    "lstm": 25,
    "gan": 4,
    "cgan": 4,
}
LSTM_FLOP = 3 * 28 * 2 * 512 * (28 + 128 + 128 + 128) - 28 * 2 * 512 * 28 + 6 * 1280
# A process's peak counts what its parent held when it forked: so from a parent that holds nothing.
_WATCH = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
WAYS = ("ours", "plain", "loader", "pictures", "bf16")
Batches = Iterator[tuple[Tensor, Tensor]]


class Pictures(Dataset):  # type: ignore[type-arg]
    """Item by item: a PIL image, then floats in [0, 1], then scaled to [-1, 1]."""

    def __init__(self, digits: Digits) -> None:
        self.images, self.labels = digits.images[:, 0].numpy(), digits.labels.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self.images[place])
        pixels = torch.from_numpy(np.array(picture, copy=True)).unsqueeze(0).float().div(255)
        return (pixels - 0.5) / 0.5, self.labels[place]


def plain_step(
    net: nn.Module, optimizer: torch.optim.Optimizer, recipe: ClassifierRecipe, x: Tensor, y: Tensor
) -> Tensor:
    optimizer.zero_grad()
    loss = F.cross_entropy(net(x), y, label_smoothing=recipe.label_smoothing)
    loss.backward()
    optimizer.step()
    return loss.detach()


def plain_duel(recipe: GanRecipe) -> Callable[[Tensor, Tensor], Tensor]:
    """The step of a generator's recipe as its page tells it, both nets' gradients computed in every loss."""
    generator, discriminator = recipe.generator(), recipe.discriminator()
    drawer, judge = (recipe.optimizer(net.parameters()) for net in (generator, discriminator))
    entropy = nn.BCELoss()

    def step(x: Tensor, y: Tensor) -> Tensor:
        noise, digits = torch.randn(len(x), NOISE_SIZE, 1, 1), torch.randint(10, (len(x),))
        judge.zero_grad()
        targets = torch.rand(len(x)) * 0.2 + 0.8
        first = entropy(torch.sigmoid(discriminator(x, *recipe.condition(y))), targets)
        first.backward()
        drawn, asked = generator(noise, *recipe.condition(digits)), recipe.condition(digits)
        second = entropy(torch.sigmoid(discriminator(drawn.detach(), *asked)), torch.zeros(len(x)))
        second.backward()
        judge.step()
        drawer.zero_grad()
        third = entropy(torch.sigmoid(discriminator(drawn, *asked)), torch.ones(len(x)))
        third.backward()
        drawer.step()
        return (first + second + third).detach()

    return step


def plain(recipe: ClassifierRecipe | GanRecipe) -> Callable[[Tensor, Tensor], Tensor]:
    """What trains freshly made nets on one batch, with torch's own layers and default optimizer."""
    if isinstance(recipe, GanRecipe):
        return plain_duel(recipe)
    net = recipe.net().train()
    optimizer = recipe.optimizer(net.parameters())
    return lambda x, y: plain_step(net, optimizer, recipe, x, y)


def ours(recipe: ClassifierRecipe | GanRecipe, digits: Digits, precision: str) -> Callable[[int], Tensor]:
    """What takes so many steps of our own epoch; gives the sum of their losses."""
    if isinstance(recipe, GanRecipe):
        duelling = gan.GanTraining(recipe, 0, CPU, precision=precision)
        order = torch.randperm(len(digits))
        return lambda steps: sum(
            (
                gan.train_step(duelling, recipe, x, y).sum()
                for x, y in itertools.islice(digits.batches(order, recipe.batch_size), steps)
            ),
            torch.zeros(()),
        )
    training = ClassifierTraining(recipe, 0, CPU, precision=precision)
    training.net.train()
    return lambda steps: sum(
        (
            train_step(training, recipe, x, y)
            for x, y in itertools.islice(iterate_batches(training, recipe, digits, 1), steps)
        ),
        torch.zeros(()),
    )


def ways(recipe: ClassifierRecipe | GanRecipe, digits: Digits) -> dict[str, Callable[[int], None]]:
    """For each way, what takes so many steps of an epoch."""
    floats = digits.images.float() / 127.5 - 1
    shuffle = getattr(recipe, "shuffle", True)

    def mine(precision: str) -> Callable[[int], None]:
        step = ours(recipe, digits, precision)

        def run(steps: int) -> None:
            keep_memory(True)
            step(steps).item()

        return run

    def theirs(batches: Callable[[], Batches]) -> Callable[[int], None]:
        step = plain(recipe)

        def run(steps: int) -> None:
            keep_memory(False)
            losses = torch.zeros(())
            for x, y in itertools.islice(batches(), steps):
                losses += step(x, y)
            losses.item()

        return run

    def indexed() -> Batches:
        order = torch.randperm(len(digits)) if shuffle else torch.arange(len(digits))
        return ((floats[index], digits.labels[index]) for index in order.split(recipe.batch_size))

    def loaded(data: Dataset) -> Callable[[], Batches]:  # type: ignore[type-arg]
        return lambda: iter(DataLoader(data, recipe.batch_size, shuffle=shuffle))

    found = {
        "ours": mine("float32"),
        "plain": theirs(indexed),
        "loader": theirs(loaded(TensorDataset(floats, digits.labels))),
        "pictures": theirs(loaded(Pictures(digits))),
    }
    try:
        found["bf16"] = mine("bf16")
    except UsageError as refused:
        print(refused, file=sys.stderr)
    return found


def keep_memory(ours: bool) -> None:
    """As `train` sets malloc, or as it sets itself in a script that says nothing: at most these two sizes."""
    if ours:
        tune_malloc()
    elif platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(device._M_MMAP_THRESHOLD, 2**25)
        library.mallopt(device._M_TRIM_THRESHOLD, 2**26)


def check_nets(recipe: GanRecipe, digits: Digits) -> None:
    """The plain nets' outputs and gradients, to rounding."""
    x, y = digits.take(slice(0, 50))
    noise = torch.randn(50, NOISE_SIZE, 1, 1).double()
    for make, inputs in ((recipe.generator, noise), (recipe.discriminator, x.double())):
        plain = make().double()
        results = []
        for net in (plain, optimize_for(copy.deepcopy(plain), CPU)):
            outputs = net(inputs, *recipe.condition(y))
            (outputs**2).sum().backward()
            results.append((outputs.detach(), torch.cat([p.grad.flatten() for p in net.parameters()])))
        torch.testing.assert_close(*results, rtol=1e-8, atol=1e-8)


def check(recipe: ClassifierRecipe | GanRecipe, digits: Digits) -> None:
    """Dropout off: the plain net's loss and gradients, to rounding; on: the recipe's share dropped."""
    if isinstance(recipe, GanRecipe):
        check_nets(recipe, digits)
        return
    torch.manual_seed(0)
    plain = recipe.net().double()
    rates = [module.p for module in plain.modules() if isinstance(module, nn.Dropout)]
    whole = copy.deepcopy(plain)
    for module in plain.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    x, y = digits.take(slice(0, 50))
    results = []
    for net in (plain, optimize_for(copy.deepcopy(plain), CPU)):
        loss = F.cross_entropy(net(x.double()), y, label_smoothing=recipe.label_smoothing)
        loss.backward()
        results.append(
            (loss.detach(), torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
        )
    torch.testing.assert_close(*results, rtol=1e-8, atol=1e-10)
    prepared = [module.p for module in optimize_for(whole, CPU).modules() if isinstance(module, FusedReLU)]
    assert [p for p in prepared if p] == rates
    for p in set(rates):
        ones = torch.ones(100, 20, 24, 24)
        scaled = FusedReLU(p, None, False)(ones.clone())
        assert abs(scaled.count_nonzero().item() / ones.numel() - (1 - p)) < 0.002
        assert abs(scaled.mean().item() - 1) < 0.005


def flop(name: str, recipe: ClassifierRecipe | GanRecipe) -> float:
    """Operations of one image's training pass."""
    if name == "lstm":
        return LSTM_FLOP
    if isinstance(recipe, GanRecipe):
        training = gan.GanTraining(recipe, 0, CPU)
        with FlopCounterMode(display=False) as counter:
            gan.train_step(training, recipe, torch.zeros(2, 1, 28, 28), torch.zeros(2, dtype=torch.int64))
        return counter.get_total_flops() / 2
    net = recipe.net()
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(2, 1, 28, 28)).sum().backward()
    return counter.get_total_flops() / 2


def matmul(times: int = 3) -> float:
    """FLOP/s of a 2048 x 2048 float32 product."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - began)
    return 2 * 2048**3 / statistics.median(seconds)


def passes(name: str, digits: Digits, rounds: int) -> dict[str, object]:
    """One recipe: microseconds an image for each way, and how many times as long as ours they take."""
    recipe, steps = models.load(name), STEPS[name]
    check(recipe, digits)
    found = ways(recipe, digits)
    for run in found.values():
        run(1)
    seconds: dict[str, list[float]] = {way: [] for way in found}
    speeds = []
    for _ in range(rounds):
        speeds.append(matmul())
        for way, run in found.items():
            began = time.perf_counter()
            run(steps)
            seconds[way].append(time.perf_counter() - began)
    images = steps * recipe.batch_size
    operations = flop(name, recipe)

    def ratio(slow: str, fast: str) -> float:
        return round(statistics.median(s / f for s, f in zip(seconds[slow], seconds[fast], strict=True)), 2)

    shares = [operations * images / s / m for s, m in zip(seconds["ours"], speeds, strict=True)]
    return {
        "microseconds_per_image": {
            w: round(1e6 * statistics.median(s) / images, 2) for w, s in seconds.items()
        },
        "times_as_long_as_ours": {w: ratio(w, "ours") for w in ("plain", "loader", "pictures")},
        "plain_over_bf16": ratio("plain", "bf16") if "bf16" in seconds else None,
        "megaflop_per_image": round(operations / 1e6, 3),
        "mm_gigaflops": round(statistics.median(speeds) / 1e9),
        "share_of_mm": round(statistics.median(shares), 3),
    }


def whole_run(name: str, data: list[str]) -> dict[str, object]:
    """One epoch as a user runs it, in a process of its own."""
    words = [sys.executable, "-m", "mnistctl", "train", name, "--epochs", "1", "--json", *data]
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        told = subprocess.run(
            [sys.executable, "-c", _WATCH, *words, "--out-dir", place],
            capture_output=True,
            check=True,
            text=True,
        )
        seconds = time.perf_counter() - began
    *_, record, peak = told.stdout.splitlines()
    body = json.loads(record)
    unit = 1 if platform.system() == "Darwin" else 1024  # bytes there, KiB elsewhere
    return {
        "dataset": body["dataset"]["name"],
        "seconds": round(seconds, 2),
        "training_seconds": round(body["training_seconds"], 2),
        "peak_megabytes": round(int(peak) * unit / 1e6),
    }


def main() -> None:
    """Time every recipe, print two tables, and write them as JSON."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("names", nargs="*", default=list(STEPS), help="recipes; all by default")
    asked.add_argument("--data-dir", type=Path, help="MNIST; else the sample, over and over, stands for it")
    asked.add_argument("--rounds", type=int, default=7)
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    if given.data_dir:
        digits = Digits.of(datasets.load("mnist", given.data_dir, "train")[0], CPU)
        real = ["--data-dir", str(given.data_dir), "--offline"]
    else:
        few = Digits.of(datasets.load("sample", None, "train")[0], CPU)
        digits = Digits(few.images.repeat(15, 1, 1, 1), few.labels.repeat(15))
        real = ["--dataset", "sample"]
    recipes, runs = {}, {}
    print(
        f"{'us an image':11s}"
        + "".join(f"{way:>9s}" for way in WAYS)
        + " | plain, loader, pictures/ours | of mm"
    )
    for name in given.names:
        row = recipes[name] = passes(name, digits, given.rounds)
        us, times = row["microseconds_per_image"], row["times_as_long_as_ours"]
        cells = " ".join(f"{us.get(way, math.nan):8.1f}" for way in WAYS)
        ratios = " ".join(f"{times[way]:9.2f}" for way in ("plain", "loader", "pictures"))
        print(f"{name:10s} {cells} | {ratios} | {row['share_of_mm']:.2f}", flush=True)
    print("one epoch      data  seconds  of these training  peak MB")
    for name in given.names:
        row = runs[name] = whole_run(
            name, ["--dataset", "sample"] if name in ("simple", "gan", "cgan") else real
        )
        spent = f"{row['seconds']:8.1f} {row['training_seconds']:18.1f}"
        print(f"{name:10s} {row['dataset']:>8s} {spent} {row['peak_megabytes']:8d}", flush=True)
    body = {
        "command": "python bench/speed.py",
        "machine": hardware_info() | {"threads": torch.get_num_threads(), "torch": torch.__version__},
        "rounds": given.rounds,
        "recipes": recipes,
        "one_epoch": runs,
    }
    if given.out:
        given.out.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
