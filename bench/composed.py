"""How many numbers of 2 to 6 digits, composed of single digits, are read wholly right.

    python bench/composed.py DATA_DIR [--handwriting FOLDER] [--net records/conv.safetensors]
        [--workers N] [--out FILE]

The digits are MNIST's test digits, and those of a folder of pictures named `*_label3_*`. They stand in a row,
from wide apart to touching: by up to 2 pixels of ink where a digit is 20 pixels high. Rows are slanted, of
even and uneven paper, plain or ruled. Each number depends only on its index.
"""

import argparse
import json
import platform
import re
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from mnistctl.artifacts import checkpoint
from mnistctl.data import components, datasets, layout, photos
from mnistctl.inference import load
from mnistctl.inference.forward import compute_image_logits
from mnistctl.inference.reading import find_digits
from mnistctl.nn.device import hardware_info

COUNT = 300  # of each kind, separate and touching
SINGLE = 200  # digits that are read alone, for comparison
HEIGHT = 60  # pixels of a digit in the picture; 3 per pixel of MNIST's square


def crop(ink: np.ndarray) -> np.ndarray:
    """The ink from 0 to 1, cut to its box and scaled to HEIGHT on the longer side."""
    rows, columns = (np.flatnonzero((ink > 0.2).any(axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    factor = HEIGHT / max(ink.shape)
    size = [max(1, round(side * factor)) for side in ink.shape[::-1]]
    return np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)


def mnist_digits(data: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """The ink of MNIST's test digits, and their labels."""
    test = datasets.load("mnist", data, "test")[0]
    return [image / 255 for image in test.images], test.labels


def handwritten_digits(folder: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """The ink of the digits in a folder of pictures, and their labels, where a digit is found."""
    inks, labels = [], []
    for path in sorted(folder.iterdir()):
        match = re.search(r"_label(\d)_", path.name)
        if match:
            found = photos.find_ink(photos.load_image(path)[0])
            foreground = None if found is None else components.find_foreground(found[0])
            mask = None if foreground is None else components.find_digit(foreground)
            if found is not None and mask is not None:
                inks.append(layout.extract_digit(found[0], mask))
                labels.append(int(match[1]))
    return inks, np.array(labels)


def compose(
    inks: list[np.ndarray], labels: np.ndarray, number: int, touching: bool
) -> tuple[np.ndarray, str]:
    """A picture of a number, grey, [rows, columns] from 0 to 255, and the number."""
    rng = np.random.default_rng([number, touching])
    chosen = rng.choice(len(inks), 2 + number % 5, replace=False)
    row = write_row([inks[n] for n in chosen], touching, rng).max(0)
    margin = [int(each) for each in rng.integers(15, 50, 4)]
    ink = np.pad(row, (margin[:2], margin[2:]))
    return on_paper(ink, rng), "".join(str(labels[n]) for n in chosen)


def write_row(inks: list[np.ndarray], touching: bool, rng: np.random.Generator) -> np.ndarray:
    """The ink of digits in a row, from 0 to 1, each digit in its layer: [digits, rows, columns]."""
    slant, row, layers = rng.uniform(-0.15, 0.25), np.zeros((3 * HEIGHT, 0), np.float32), []
    for ink in inks:
        digit = crop(ink)
        part = np.zeros((3 * HEIGHT, digit.shape[1]), np.float32)
        top = HEIGHT + round((HEIGHT - digit.shape[0]) / 2 + rng.normal(0, 3))
        part[top : top + digit.shape[0]] = digit
        part = sheared(part, slant)
        gap = 3 * (rng.uniform(-2, 0) if touching else rng.uniform(1, 10))
        start = next_column(row, part, round(gap)) if layers else 0
        layers.append(np.pad(part, ((0, 0), (start, 0))))
        width = max(row.shape[1], layers[-1].shape[1])
        row = np.maximum(*(np.pad(each, ((0, 0), (0, width - each.shape[1]))) for each in (row, layers[-1])))
    rows = np.flatnonzero((row > 0.1).any(1))
    padded = [np.pad(layer, ((0, 0), (0, row.shape[1] - layer.shape[1]))) for layer in layers]
    return np.stack(padded)[:, rows[0] : rows[-1] + 1]


def sheared(part: np.ndarray, slant: float) -> np.ndarray:
    """The ink, slanted to the right, cut to its columns."""
    room = round(abs(slant) * len(part))
    padded = np.pad(part, ((0, 0), (room, room)))
    matrix = [[1, 0], [slant, 1]]
    moved = ndimage.affine_transform(padded, matrix, offset=[0, -slant * len(part) / 2], order=1)
    return moved[:, np.flatnonzero((moved > 0.1).any(0))[0] : np.flatnonzero((moved > 0.1).any(0))[-1] + 1]


def next_column(row: np.ndarray, part: np.ndarray, gap: int) -> int:
    """The column at which a digit starts, `gap` pixels of ink behind the row where it is nearest."""
    dark, new = row > 0.3, part > 0.3
    ends = ndimage.maximum_filter1d(np.where(dark.any(1), row.shape[1] - dark[:, ::-1].argmax(1), -999), 5)
    starts = np.where(new.any(1), new.argmax(1), 999)
    return max(int((ends - starts).max()) + gap, row.shape[1] - HEIGHT // 2, 0)


def on_paper(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The ink on paper: every third ruled, lit unevenly, with noise."""
    y, x = np.mgrid[: ink.shape[0], : ink.shape[1]].astype(np.float32)
    page = np.full(ink.shape, rng.uniform(225, 252), np.float32)
    if rng.random() < 1 / 3:
        gap, slope = rng.uniform(25, 60), rng.uniform(-0.03, 0.03)
        line = np.abs((y + slope * x) % gap - gap / 2) < 1
        page[line] *= rng.uniform(0.75, 0.9)
    page *= (
        1
        - rng.choice([0, 0.25])
        * (x / x.max() * rng.uniform(0, 1) + y / max(y.max(), 1) * rng.uniform(0, 1))
        / 2
    )
    grey = page * (1 - ink * rng.uniform(0.6, 0.95)) + rng.normal(0, rng.uniform(0, 3), ink.shape)
    return grey.clip(0, 255).round().astype(np.float32)


def read(net: torch.nn.Module, grey: np.ndarray, expect: int | None = None) -> str:
    """The number in a picture, rows separated by a space."""
    ink = photos.find_ink(grey)
    found, _ = ((), 0) if ink is None else find_digits(*ink, expect)
    if not found:
        return ""
    digits = compute_image_logits(net, np.stack([each.image for each in found])).argmax(1).tolist()
    rows = range(found[-1].row + 1)
    return " ".join(
        "".join(str(d) for d, each in zip(digits, found, strict=True) if each.row == r) for r in rows
    )


def evaluate(net: torch.nn.Module, inks: list, labels: np.ndarray, touching: bool) -> dict:
    """How many of COUNT numbers are read wholly right, without and with the number of digits given."""
    right, expected, lengths, wrong = [], [], [], []
    start = time.perf_counter()
    for n in range(COUNT):
        grey, number = compose(inks, labels, n, touching)
        text = read(net, grey)
        right.append(text == number)
        lengths.append(len(text) == len(number))
        expected.append((text if lengths[-1] else read(net, grey, len(number))) == number)
        if text != number:
            wrong.append([n, number, text])
    seconds = time.perf_counter() - start
    shares = {
        "right": right,
        "right_number_of_digits": lengths,
        "right_if_number_of_digits_is_given": expected,
    }
    body: dict = {"numbers": COUNT} | {
        name: round(100 * float(np.mean(values)), 2) for name, values in shares.items()
    }
    by_length = {digits: round(100 * float(np.mean(right[digits - 2 :: 5])), 1) for digits in range(2, 7)}
    return body | {
        "right_by_length": by_length,
        "ms_per_number": round(1000 * seconds / COUNT, 1),
        "wrong": wrong,
    }


def single_accuracy(net: torch.nn.Module, inks: list, labels: np.ndarray) -> float:
    """The share of single digits, each alone on even paper, that are read as one digit and right, in %."""
    right = 0
    for ink, label in zip(inks, labels, strict=True):
        grey = 250 * (1 - 0.9 * np.pad(crop(ink), 30)).astype(np.float32)
        right += read(net, grey) == str(label)
    return round(100 * right / len(labels), 2)


def measure(net_path: Path, source: str, folder: Path, kind: str) -> dict | float:
    """One of the measurements, in a process of its own."""
    torch.set_num_threads(1)
    net = load.load_classifier(net_path)[1]
    inks, labels = mnist_digits(folder) if source == "mnist" else handwritten_digits(folder)
    if kind == "single":
        chosen = np.random.default_rng(0).choice(len(inks), min(SINGLE, len(inks)), replace=False)
        return single_accuracy(net, [inks[n] for n in chosen], labels[chosen])
    return evaluate(net, inks, labels, kind == "touching")


def main() -> None:
    """Read the numbers of both sources, print the shares, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--handwriting", type=Path)
    parser.add_argument("--net", type=Path, default=Path("records/conv.safetensors"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    model, net = load.load_classifier(arguments.net)
    sources = {"mnist": arguments.data, "handwriting": arguments.handwriting}
    body = {"command": "python bench/composed.py data --handwriting FOLDER --out records/composed.json"}
    body |= {"model": model, "digest": checkpoint.digest(net.state_dict()), "single_digits": SINGLE}
    versions = {name: metadata.version(name) for name in ("mnistctl", "torch", "numpy", "scipy", "pillow")}
    body |= {"versions": versions | {"python": platform.python_version()}, "machine": hardware_info()}
    with ProcessPoolExecutor(arguments.workers) as pool:
        jobs = {
            (source, kind): pool.submit(measure, arguments.net, source, folder, kind)
            for source, folder in sources.items()
            if folder is not None
            for kind in ("separate", "touching", "single")
        }
        for (source, kind), job in jobs.items():
            result = job.result()
            body.setdefault(source, {})[kind] = result
            shown = {k: v for k, v in result.items() if k != "wrong"} if isinstance(result, dict) else result
            print(source, kind, shown, flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
