"""How many pictures of real handwriting are read: with the steps of `eval --image`, and with simple recipes.

    python bench/handwriting.py FOLDER [--net records/conv.safetensors] [--before FILE] [--ablation]
        [--out FILE] [--sheet FILE]

FOLDER has pictures `sourceNNN_labelD_MMM.png` or `.jpg`, and `kinds.csv` with the kind of each source.
--before adds the column of an earlier record. --ablation leaves out each step in turn. --sheet shows all
misread ones.
"""

import argparse
import csv
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image
from scipy import ndimage, stats

from mnistctl.artifacts import checkpoint, grids
from mnistctl.data import components, layout, photos, segmentation
from mnistctl.inference import load
from mnistctl.inference.predict import compute_probabilities
from mnistctl.nn.device import hardware_info

Recipe = Callable[[Path], np.ndarray | None]
DRAWS = 10_000  # of the bootstrap
KINDS = ("photo", "cells", "small", "drawn", "paint28")

# Each step, and what replaces it when it is left out.
STEPS: dict[str, tuple[object, str, object]] = {
    "the colour channel": (photos, "_select_channel", lambda image: image.convert("L")),
    "enlarging small images": (segmentation, "enlarge_small", lambda grey: grey),
    "hiding the table": (segmentation, "hide_table", lambda grey: grey),
    "margin of its own paper": (segmentation, "add_margin", lambda grey: (grey, 0)),
    "even light": (segmentation, "_estimate_light", lambda small: np.full_like(small, np.median(small))),
    "local background": (
        segmentation,
        "_estimate_paper",
        lambda small, window: np.full_like(small, np.median(small)),
    ),
    "thickening thin strokes": (layout, "_thicken", lambda digit, unit: digit),
    "loose strokes": (components, "find_digit", lambda found: found.main),
}


@dataclass(frozen=True)
class Picture:
    """A file, the digit it shows, its source and the kind of its source."""

    path: Path
    label: int
    source: str
    kind: str


def find_pictures(folder: Path) -> list[Picture]:
    with (folder / "kinds.csv").open() as file:
        kinds = {row["source"]: row["kind"] for row in csv.DictReader(file)}
    pictures = []
    for path in sorted(folder.glob("source*_label*_*.*")):
        source, label, _ = path.stem.split("_")
        pictures.append(Picture(path, int(label.removeprefix("label")), source, kinds[source]))
    return pictures


def our_steps(path: Path) -> np.ndarray | None:
    return photos.to_mnist(photos.load_image(path)[0])


def read_grey(path: Path) -> np.ndarray:
    """The picture in grey with light ink: inverted if most of it is light."""
    with Image.open(path) as image:
        rgba = image.convert("RGBA")
    page = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    grey = np.asarray(page.convert("L"), np.uint8)
    return 255 - grey if np.median(grey) > 127 else grey


def usual_recipe(path: Path) -> np.ndarray | None:
    """Otsu's threshold, crop, fit into 20x20 pixels, centre by mass."""
    grey = read_grey(path)
    ink = np.where(grey > segmentation.otsu_threshold(grey), grey, 0).astype(np.float32)
    ink *= 255 / max(float(ink.max()), 1.0)
    rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
    if not len(rows):
        return None
    crop = Image.fromarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8))
    scale = 20 / max(crop.size)
    small = crop.resize([max(1, round(n * scale)) for n in crop.size], Image.Resampling.LANCZOS)
    canvas = np.zeros((60, 60), np.uint8)
    canvas[20 : 20 + small.height, 20 : 20 + small.width] = np.asarray(small)
    top, left = (round(centre) - 14 for centre in ndimage.center_of_mass(canvas))
    return canvas[top : top + 28, left : left + 28]


def whole_picture(path: Path) -> np.ndarray | None:
    """The whole picture, resized to 28x28 pixels."""
    return np.asarray(Image.fromarray(read_grey(path)).resize((28, 28), Image.Resampling.BOX))


@contextmanager
def without(step: str | None) -> Iterator[None]:
    """`our_steps` with this step left out."""
    if step is None:
        yield
        return
    with mock.patch.object(*STEPS[step]):
        yield


@dataclass(frozen=True)
class Reader:
    """A net, which predicts the digits of pictures that a recipe prepares."""

    path: Path
    net: torch.nn.Module

    def read(self, pictures: list[Picture], recipe: Recipe) -> tuple[list, np.ndarray, np.ndarray]:
        """The net's inputs, the predictions (-1 where no digit was found), and their probabilities."""
        inputs = [recipe(picture.path) for picture in pictures]
        images = np.stack([np.zeros((28, 28), np.uint8) if image is None else image for image in inputs])
        probabilities = compute_probabilities(self.path, self.net, images)
        predicted = np.where([image is None for image in inputs], -1, probabilities.argmax(1))
        return inputs, predicted, probabilities.max(1)


def summarize(pictures: list[Picture], predicted: np.ndarray) -> dict:
    """The accuracy in percent: over all, with its interval, of each kind, and the mean over the sources."""
    right = predicted == np.array([picture.label for picture in pictures])

    def share(chosen: list[bool]) -> float:
        return round(100 * float(right[np.array(chosen)].mean()), 2)

    kinds = {kind: share([p.kind == kind for p in pictures]) for kind in KINDS}
    sources = {s: share([p.source == s for p in pictures]) for s in sorted({p.source for p in pictures})}
    low, high = stats.binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return {
        "pictures": len(right),
        "right": int(right.sum()),
        "accuracy": round(100 * float(right.mean()), 2),
        "interval": [round(100 * low, 2), round(100 * high, 2)],
        "kinds": kinds,
        "mean_over_sources": round(float(np.mean(list(sources.values()))), 2),
        "sources": sources,
    }


def compare_over_sources(pictures: list[Picture], one: np.ndarray, other: np.ndarray) -> dict:
    """How far the accuracy, and its lead over another recipe, depend on which sources there are.

    The intervals hold 95 % of the results of a bootstrap over sources: as many are drawn with replacement
    (Efron, Annals of Statistics 7 (1979) 1). All numbers are in percent.
    """
    labels = np.array([picture.label for picture in pictures])
    names, numbers = np.unique([picture.source for picture in pictures], return_inverse=True)
    sizes = np.bincount(numbers)
    sums = np.stack([np.bincount(numbers, predicted == labels) for predicted in (one, other)])
    drawn = np.random.default_rng(0).integers(0, len(names), (DRAWS, len(names)))

    def describe(values: np.ndarray) -> list[float]:
        return [round(100 * float(value), 2) for value in np.percentile(values, (2.5, 97.5))]

    shares, means = sums[:, drawn].sum(2) / sizes[drawn].sum(1), (sums / sizes)[:, drawn].mean(2)
    without_one = 100 * (sums[0].sum() - sums[0]) / (sizes.sum() - sizes)
    return {
        "accuracy_interval": describe(shares[0]),
        "mean_over_sources_interval": describe(means[0]),
        "lead": round(100 * float(np.diff(sums[::-1].sum(1))[0] / sizes.sum()), 2),
        "lead_interval": describe(shares[0] - shares[1]),
        "lead_of_means": round(100 * float(np.diff((sums / sizes).mean(1)[::-1])[0]), 2),
        "lead_of_means_interval": describe(means[0] - means[1]),
        "without_one_source": [round(float(without_one.min()), 2), round(float(without_one.max()), 2)],
    }


def describe_errors(pictures: list[Picture], predicted: np.ndarray, confidence: np.ndarray) -> list[dict]:
    return [
        {"file": p.path.name, "kind": p.kind, "digit": p.label, "read": int(read)}
        | {"probability": round(float(probability), 3)}
        for p, read, probability in zip(pictures, predicted, confidence, strict=True)
        if read != p.label
    ]


def measure_times(repeats: int = 20) -> dict:
    """Milliseconds that the steps take on one thread, without reading the file: median and minimum.

    The time of the processor is that of this thread alone, whatever else the machine does.
    """
    rng = np.random.default_rng(0)
    times = {}
    for name, width, height in (("28x28", 28, 28), ("12 megapixels", 4000, 3000)):
        page = np.full((height, width, 3), 215.0) + rng.normal(0, 4, (height, width, 1))
        page[round(height * 0.2) : round(height * 0.8), round(width * 0.45) : round(width * 0.52)] = 40
        image = Image.fromarray(page.clip(0, 255).astype(np.uint8))
        taken, processor = [], []
        for _ in range(repeats):
            start, started = time.perf_counter(), time.thread_time()
            photos.to_mnist(photos.to_grey(image))
            taken.append(1000 * (time.perf_counter() - start))
            processor.append(1000 * (time.thread_time() - started))
        times[name] = {"median": round(float(np.median(taken)), 1), "minimum": round(min(taken), 1)}
        times[name]["processor"] = round(float(np.median(processor)), 1)
    return times


def make_sheet(pictures: list[Picture], inputs: list, chosen: list[int], side: int = 84) -> np.ndarray:
    """The chosen pictures, each next to what the net received: uint8 [rows, columns, 3]."""
    columns, width = 8, side + 60
    pixels = np.full((-(-len(chosen) // columns) * (side + 4), columns * width, 3), 128, np.uint8)
    for place, n in enumerate(chosen):
        top, left = place // columns * (side + 4), place % columns * width
        with Image.open(pictures[n].path) as image:
            small = Image.alpha_composite(Image.new("RGBA", image.size, "#9999cc"), image.convert("RGBA"))
        scale = side / max(small.size)
        method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
        small = small.convert("RGB").resize([max(1, round(n * scale)) for n in small.size], method)
        pixels[top : top + small.height, left : left + small.width] = np.asarray(small)
        if inputs[n] is not None:
            doubled = grids.enlarge(inputs[n], 2)[..., None]
            pixels[top : top + 56, left + side : left + side + 56] = doubled
    return pixels


def main() -> None:
    """Read all pictures, print a table, and write the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--net", type=Path, default=Path("records/conv.safetensors"))
    parser.add_argument("--before", type=Path)
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pictures = find_pictures(arguments.folder)
    model, net = load.load_classifier(arguments.net)
    reader = Reader(arguments.net, net)
    inputs, predicted, confidence = reader.read(pictures, our_steps)
    columns, leads = {"steps": summarize(pictures, predicted)}, {}
    for name, recipe in (("usual recipe", usual_recipe), ("whole picture", whole_picture)):
        read = reader.read(pictures, recipe)[1]
        columns[name] = summarize(pictures, read)
        leads[name] = compare_over_sources(pictures, predicted, read)
    if arguments.before:
        columns["before"] = json.loads(arguments.before.read_text())["columns"]["steps"]
    if arguments.ablation:
        for step in STEPS:
            with without(step):
                columns[f"without {step}"] = summarize(pictures, reader.read(pictures, our_steps)[1])
    for name, column in columns.items():
        print(name, column["kinds"], column["accuracy"], column["mean_over_sources"], flush=True)
    errors = describe_errors(pictures, predicted, confidence)
    if arguments.sheet:
        wrong = [n for n, picture in enumerate(pictures) if predicted[n] != picture.label]
        grids.write_png(arguments.sheet, make_sheet(pictures, inputs, wrong))
    versions = {name: metadata.version(name) for name in ("mnistctl", "torch", "numpy", "scipy", "pillow")}
    given = [argument if argument != str(arguments.folder) else "FOLDER" for argument in sys.argv[1:]]
    command = " ".join(["python bench/handwriting.py", *given])
    body = {"command": command, "model": model, "digest": checkpoint.digest(net.state_dict())}
    body |= {"versions": versions | {"python": platform.python_version()}, "machine": hardware_info()}
    body |= {"columns": columns, "over_sources": leads}
    body |= {"milliseconds": measure_times(), "errors": errors}
    print(body["milliseconds"])
    if arguments.out:
        arguments.out.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
