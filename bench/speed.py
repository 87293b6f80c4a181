"""Compare the time of mnistctl's training pass with that of common PyTorch loops.

    python bench/speed.py [--data-dir DIR] [--rounds N] [--out FILE] [RECIPE ...]

Each round times every loop once, so that other work on the machine slows all of them equally; ratios are
medians over the rounds. The loops: mnistctl's own (`ours`, and `bf16` where the processor has it); an eager
loop over index tensors (`plain`); a DataLoader over a TensorDataset (`loader`); a DataLoader whose data set
converts each item from a PIL image, as torchvision's MNIST with ToTensor and Normalize does (`pictures`).
`mm` is a product of two 2048 x 2048 matrices. A multiply-add counts as 2 operations; forward and backward
passes count, except the gradient of the pixels.
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
from mnistctl.data.batches import Digits
from mnistctl.errors import UsageError
from mnistctl.models.recipe import NOISE_SIZE, ClassifierRecipe, GanRecipe
from mnistctl.nn import device
from mnistctl.nn.device import hardware_info, tune_malloc
from mnistctl.nn.fusion import FusedReLU, optimize_for
from mnistctl.training import gan
from mnistctl.training.classifier import ClassifierTraining, iterate_batches, train_step

CPU = torch.device("cpu")
STEPS = {  # per round, about half a second
    "logit": 600,
    "linear": 200,
    "conv": 4,
    "simple": 1,
    "lstm": 25,
    "gan": 4,
    "cgan": 4,
}
LSTM_FLOP = 3 * 28 * 2 * 512 * (28 + 128 + 128 + 128) - 28 * 2 * 512 * 28 + 6 * 1280
# A process's peak memory includes that of its parent when it forked, so the parent must be small.
_PEAK_MEMORY = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
LOOPS = ("ours", "plain", "loader", "pictures", "bf16")
Batches = Iterator[tuple[Tensor, Tensor]]


class ImageDataset(Dataset):  # type: ignore[type-arg]
    """Converts each item: from a PIL image to floats in [0, 1], then scaled to [-1, 1]."""

    def __init__(self, digits: Digits) -> None:
        self.images, self.labels = digits.images[:, 0].numpy(), digits.labels.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self.images[index])
        pixels = torch.from_numpy(np.array(image, copy=True)).unsqueeze(0).float().div(255)
        return (pixels - 0.5) / 0.5, self.labels[index]


def plain_step(
    net: nn.Module, optimizer: torch.optim.Optimizer, recipe: ClassifierRecipe, x: Tensor, y: Tensor
) -> Tensor:
    optimizer.zero_grad()
    loss = F.cross_entropy(net(x), y, label_smoothing=recipe.label_smoothing)
    loss.backward()
    optimizer.step()
    return loss.detach()


def plain_gan(recipe: GanRecipe, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """A GAN's training step in its plainest form: every loss computes the gradients of both nets."""
    generator, discriminator = recipe.generator().to(device), recipe.discriminator().to(device)
    g_optimizer, d_optimizer = (recipe.optimizer(net.parameters()) for net in (generator, discriminator))
    bce = nn.BCELoss()

    def step(x: Tensor, y: Tensor) -> Tensor:
        noise = torch.randn(len(x), NOISE_SIZE, 1, 1, device=device)
        digits = torch.randint(10, (len(x),), device=device)
        d_optimizer.zero_grad()
        targets = torch.rand(len(x), device=device) * 0.2 + 0.8
        real_loss = bce(torch.sigmoid(discriminator(x, *recipe.condition(y))), targets)
        real_loss.backward()
        condition = recipe.condition(digits)
        fake = generator(noise, *condition)
        zeros, ones = torch.zeros(len(x), device=device), torch.ones(len(x), device=device)
        fake_loss = bce(torch.sigmoid(discriminator(fake.detach(), *condition)), zeros)
        fake_loss.backward()
        d_optimizer.step()
        g_optimizer.zero_grad()
        g_loss = bce(torch.sigmoid(discriminator(fake, *condition)), ones)
        g_loss.backward()
        g_optimizer.step()
        return (real_loss + fake_loss + g_loss).detach()

    return step


def plain(
    recipe: ClassifierRecipe | GanRecipe, device: torch.device = CPU
) -> Callable[[Tensor, Tensor], Tensor]:
    """A function that trains new nets on one batch, with torch's layers and default optimizer."""
    if isinstance(recipe, GanRecipe):
        return plain_gan(recipe, device)
    net = recipe.net().to(device).train()
    optimizer = recipe.optimizer(net.parameters())
    return lambda x, y: plain_step(net, optimizer, recipe, x, y)


def ours(recipe: ClassifierRecipe | GanRecipe, digits: Digits, precision: str) -> Callable[[int], Tensor]:
    """A function that takes this many steps of our own loop and returns the sum of their losses."""
    if isinstance(recipe, GanRecipe):
        training = gan.GanTraining(recipe, 0, digits.device, precision=precision)
        order = torch.randperm(len(digits))
        return lambda steps: sum(
            (
                gan.train_step(training, x, y).sum()
                for x, y in itertools.islice(digits.batches(order, recipe.batch_size), steps)
            ),
            torch.zeros((), device=digits.device),
        )
    training = ClassifierTraining(recipe, 0, digits.device, precision=precision)
    training.net.train()
    return lambda steps: sum(
        (
            train_step(training, x, y)
            for x, y in itertools.islice(iterate_batches(training, digits, 1), steps)
        ),
        torch.zeros((), device=digits.device),
    )


def make_loops(recipe: ClassifierRecipe | GanRecipe, digits: Digits) -> dict[str, Callable[[int], None]]:
    """For each loop, a function that takes this many steps of an epoch, on the device of the digits.

    Those with a data set, `loader` and `pictures`, are left out on a GPU.
    """
    floats = digits.images.float() / 127.5 - 1
    shuffle = getattr(recipe, "shuffle", True)

    def mine(precision: str) -> Callable[[int], None]:
        step = ours(recipe, digits, precision)

        def run(steps: int) -> None:
            set_malloc(True)
            step(steps).item()

        return run

    def theirs(batches: Callable[[], Batches]) -> Callable[[int], None]:
        step = plain(recipe, digits.device)

        def run(steps: int) -> None:
            set_malloc(False)
            losses = torch.zeros((), device=digits.device)
            for x, y in itertools.islice(batches(), steps):
                losses += step(x, y)
            losses.item()

        return run

    def indexed() -> Batches:
        order = torch.randperm(len(digits)) if shuffle else torch.arange(len(digits))
        indices = order.to(digits.device).split(recipe.batch_size)
        return ((floats[index], digits.labels[index]) for index in indices)

    def loaded(data: Dataset) -> Callable[[], Batches]:  # type: ignore[type-arg]
        return lambda: iter(DataLoader(data, recipe.batch_size, shuffle=shuffle))

    loops = {"ours": mine("float32"), "plain": theirs(indexed)}
    if digits.device == CPU:
        loops["loader"] = theirs(loaded(TensorDataset(floats, digits.labels)))
        loops["pictures"] = theirs(loaded(ImageDataset(digits)))
    try:
        loops["bf16"] = mine("bf16")
    except UsageError as error:
        print(error, file=sys.stderr)
    return loops


def set_malloc(ours: bool) -> None:
    """Set malloc as `train` does, or to the thresholds that it reaches by itself in an ordinary script."""
    if ours:
        tune_malloc()
    elif platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(device._M_MMAP_THRESHOLD, 2**25)
        library.mallopt(device._M_TRIM_THRESHOLD, 2**26)


def check_nets(recipe: GanRecipe, digits: Digits) -> None:
    """Check that outputs and gradients equal those of the plain nets, up to rounding."""
    x, y = digits.take(slice(0, 50))
    noise = torch.randn(50, NOISE_SIZE, 1, 1).double()
    for make_net, inputs in ((recipe.generator, noise), (recipe.discriminator, x.double())):
        plain = make_net().double()
        results = []
        for net in (plain, optimize_for(copy.deepcopy(plain), CPU)):
            outputs = net(inputs, *recipe.condition(y))
            (outputs**2).sum().backward()
            results.append((outputs.detach(), torch.cat([p.grad.flatten() for p in net.parameters()])))
        torch.testing.assert_close(*results, rtol=1e-8, atol=1e-8)


def check(recipe: ClassifierRecipe | GanRecipe, digits: Digits) -> None:
    """Check that loss and gradients equal the plain net's, up to rounding, and that dropout has its rate."""
    if isinstance(recipe, GanRecipe):
        check_nets(recipe, digits)
        return
    torch.manual_seed(0)
    plain = recipe.net().double()
    rates = [module.p for module in plain.modules() if isinstance(module, nn.Dropout)]
    with_dropout = copy.deepcopy(plain)
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
    fused_rates = [
        module.p for module in optimize_for(with_dropout, CPU).modules() if isinstance(module, FusedReLU)
    ]
    assert [p for p in fused_rates if p] == rates
    for p in set(rates):
        ones = torch.ones(100, 20, 24, 24)
        scaled = FusedReLU(p, None, False)(ones.clone())
        assert abs(scaled.count_nonzero().item() / ones.numel() - (1 - p)) < 0.002
        assert abs(scaled.mean().item() - 1) < 0.005


def flop(name: str, recipe: ClassifierRecipe | GanRecipe) -> float:
    """Floating-point operations of a training pass, per image."""
    if name == "lstm":
        return LSTM_FLOP
    if isinstance(recipe, GanRecipe):
        training = gan.GanTraining(recipe, 0, CPU)
        with FlopCounterMode(display=False) as counter:
            gan.train_step(training, torch.zeros(2, 1, 28, 28), torch.zeros(2, dtype=torch.int64))
        return counter.get_total_flops() / 2
    net = recipe.net()
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(2, 1, 28, 28)).sum().backward()
    return counter.get_total_flops() / 2


def matmul(times: int = 3) -> float:
    """FLOP/s of a product of two 2048 x 2048 float32 matrices."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - start)
    return 2 * 2048**3 / statistics.median(seconds)


def time_passes(name: str, digits: Digits, rounds: int) -> dict[str, object]:
    """Microseconds per image of one recipe with each loop, and the time of each loop divided by ours."""
    recipe, steps = models.load(name), STEPS[name]
    check(recipe, digits)
    loops = make_loops(recipe, digits)
    for run in loops.values():
        run(1)
    seconds: dict[str, list[float]] = {loop: [] for loop in loops}
    speeds = []
    for _ in range(rounds):
        speeds.append(matmul())
        for loop, run in loops.items():
            start = time.perf_counter()
            run(steps)
            seconds[loop].append(time.perf_counter() - start)
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
    """Time one epoch with `mnistctl train`, in a process of its own."""
    arguments = [sys.executable, "-m", "mnistctl", "train", name, "--epochs", "1", "--json", *data]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        process = subprocess.run(
            [sys.executable, "-c", _PEAK_MEMORY, *arguments, "--out-dir", folder],
            capture_output=True,
            check=True,
            text=True,
        )
        seconds = time.perf_counter() - start
    *_, record, peak = process.stdout.splitlines()
    body = json.loads(record)
    unit = 1 if platform.system() == "Darwin" else 1024  # bytes there, KiB elsewhere
    return {
        "dataset": body["dataset"]["name"],
        "seconds": round(seconds, 2),
        "training_seconds": round(body["training_seconds"], 2),
        "peak_megabytes": round(int(peak) * unit / 1e6),
    }


def main() -> None:
    """Time every recipe, print two tables and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(STEPS), help="recipes; all by default")
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST; else the sample is repeated")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.data_dir:
        digits = Digits.of(datasets.load("mnist", options.data_dir, "train")[0], CPU)
        real = ["--data-dir", str(options.data_dir), "--offline"]
    else:
        few = Digits.of(datasets.load("sample", None, "train")[0], CPU)
        digits = Digits(few.images.repeat(15, 1, 1, 1), few.labels.repeat(15))
        real = ["--dataset", "sample"]
    recipes, runs = {}, {}
    print(
        f"{'us per image':12s}"
        + "".join(f"{loop:>9s}" for loop in LOOPS)
        + " | plain, loader, pictures/ours | of mm"
    )
    for name in options.names:
        row = recipes[name] = time_passes(name, digits, options.rounds)
        us, times = row["microseconds_per_image"], row["times_as_long_as_ours"]
        cells = " ".join(f"{us.get(loop, math.nan):8.1f}" for loop in LOOPS)
        ratios = " ".join(f"{times[loop]:9.2f}" for loop in ("plain", "loader", "pictures"))
        print(f"{name:11s} {cells} | {ratios} | {row['share_of_mm']:.2f}", flush=True)
    print("one epoch      data  seconds  of which training  peak MB")
    for name in options.names:
        row = runs[name] = whole_run(
            name, ["--dataset", "sample"] if name in ("simple", "gan", "cgan") else real
        )
        spent = f"{row['seconds']:8.1f} {row['training_seconds']:18.1f}"
        print(f"{name:10s} {row['dataset']:>8s} {spent} {row['peak_megabytes']:8d}", flush=True)
    body = {
        "command": "python bench/speed.py",
        "machine": hardware_info() | {"threads": torch.get_num_threads(), "torch": torch.__version__},
        "rounds": options.rounds,
        "recipes": recipes,
        "one_epoch": runs,
    }
    if options.out:
        options.out.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
