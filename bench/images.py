"""How many image files of digits `eval --image` predicts correctly: drawn ones, and enlarged ones of MNIST.

    python bench/images.py DATA_DIR [--net records/conv.safetensors] [--out FILE] [--sheet FILE]

The drawn images are all those of tests/drawing.py. Each test image of MNIST is enlarged with a margin, every
other one inverted; the first 2,000 are written to PNG and JPEG files and read, the others are not. 400 of
them are cropped to their ink with a margin of 0 to 2 pixels, and enlarged to 28 to 280 pixels.
"""

import argparse
import json
import platform
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import drawing

from mnistctl.artifacts import checkpoint, grids
from mnistctl.artifacts.drawing import canvas
from mnistctl.data import datasets
from mnistctl.data.photos import load_image, to_grey, to_mnist
from mnistctl.inference import load
from mnistctl.inference.confidence import MIN_CONFIDENCE, confidences, temperature_of
from mnistctl.inference.predict import compute_probabilities
from mnistctl.nn.device import hardware_info

FILES = 2000
TIGHT = 400
RESAMPLING = (Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
SIDE, INPUT_SIDE, CAPTION, COLUMNS = 78, 56, 16, 7  # layout of the sheet; all in pixels except COLUMNS


def enlarge(image: np.ndarray, number: int) -> Image.Image:
    """An MNIST image with a margin, enlarged 1 to 10 times, every other one inverted."""
    rng = np.random.default_rng(number)
    padded = np.pad(image, int(rng.integers(0, 21)))
    side = round(len(padded) * rng.uniform(1, 10))
    enlarged = Image.fromarray(255 - padded if number % 2 else padded)
    return enlarged.resize((side, side), RESAMPLING[number % 3])


def crop_tightly(image: np.ndarray, number: int) -> Image.Image:
    """An MNIST image cropped to its ink with 0 to 2 pixels of margin, 28 to 280 pixels high or wide."""
    rng = np.random.default_rng(number)
    rows, columns = (np.flatnonzero((image > 50).any(axis)) for axis in (1, 0))
    crop = Image.fromarray(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    margin = int(rng.integers(0, 3))
    scale = (rng.uniform(28, 280) - 2 * margin) / max(crop.size)
    size = max(1, round(crop.width * scale)), max(1, round(crop.height * scale))
    pixels = np.pad(np.asarray(crop.resize(size, RESAMPLING[number % 3])), margin)
    return Image.fromarray(255 - pixels if number % 2 else pixels)


def write_and_read(image: Image.Image, path: Path) -> np.ndarray | None:
    """The image as the net receives it, after it was written to `path` and read."""
    image.save(path, quality=90)
    return to_mnist(load_image(path)[0])


def predict(
    path: Path, net: torch.nn.Module, inputs: list[np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray]:
    """The predicted digits, -1 where no digit was detected, and the confidence in them."""
    images = np.stack([np.zeros((28, 28), np.uint8) if image is None else image for image in inputs])
    probabilities = compute_probabilities(path, net, images, temperature_of("conv"))
    predicted = np.where([image is None for image in inputs], -1, probabilities.argmax(1))
    return predicted, confidences(images, probabilities)


def summarize(labels: np.ndarray, predicted: np.ndarray, confidence: np.ndarray) -> dict:
    """The accuracy, and the share of correct and of wrong predictions that are marked unsure, in percent."""
    right, unsure = predicted == labels, confidence < MIN_CONFIDENCE
    shares = {
        name: round(100 * float(unsure[chosen].mean()), 2) if chosen.any() else None
        for name, chosen in (("unsure_of_right", right), ("unsure_of_wrong", ~right))
    }
    counts = {
        "pictures": len(labels),
        "right": int(right.sum()),
        "accuracy": round(100 * float(right.mean()), 2),
    }
    return counts | {"none_found": int((predicted < 0).sum())} | shares


def make_sheet(
    drawings: list[drawing.Drawing], inputs: list, predicted: np.ndarray, confidence: np.ndarray
) -> np.ndarray:
    """Six rows of drawings with all errors: each as drawn, as the net received it, and the prediction."""
    wrong = [n for n, each in enumerate(drawings) if predicted[n] != each.digit]
    others = [n for n in range(3, len(drawings), 7) if n not in wrong]
    shown = sorted(others[: 6 * COLUMNS - len(wrong)]) + wrong
    cell_width, cell_height, head = SIDE + INPUT_SIDE + 10, SIDE + CAPTION + 4, 30
    width, height = COLUMNS * cell_width + 10, head + -(-len(shown) // COLUMNS) * cell_height
    pixels, captions = np.full((height, width, 3), 255, np.uint8), []
    for index, n in enumerate(shown):
        top, left = head + index // COLUMNS * cell_height, 10 + index % COLUMNS * cell_width
        image = drawings[n].picture
        if image.mode == "RGBA":  # transparent parts show the page behind
            image = Image.alpha_composite(Image.new("RGBA", image.size, "#999999"), image)
        small = image.convert("RGB")
        small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
        pixels[top : top + small.height, left : left + small.width] = np.asarray(small)
        if inputs[n] is not None:
            doubled = grids.enlarge(inputs[n], 2)[..., None]
            pixels[top : top + INPUT_SIDE, left + SIDE + 2 : left + SIDE + 2 + INPUT_SIDE] = doubled
        prediction = "no digit" if predicted[n] < 0 else f"{predicted[n]}, {100 * confidence[n]:.0f} %"
        text = f"not {drawings[n].digit}: {prediction}" if n in wrong else prediction
        captions.append((left, top + SIDE + 8, text, n in wrong))
    with canvas(width / 100, height / 100) as (figure, images):
        figure.figimage(pixels, origin="upper")
        title = f"as drawn, as conv receives it, prediction; red: all {len(wrong)} errors of {len(drawings)}"
        figure.text(10 / width, 1 - 14 / height, title, weight="bold", va="center")
        for x, y, text, failed in captions:
            style = {"color": "#d1495b", "weight": "bold"} if failed else {}
            figure.text(x / width, 1 - y / height, text, fontsize=8, va="center", **style)
    return images[0]


def main() -> None:
    """Predict both kinds of images, print the results, write them as JSON, and the sheet as PNG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--net", type=Path, default=Path("records/conv.safetensors"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    model, net = load.load_classifier(arguments.net)
    with tempfile.TemporaryDirectory() as folder:
        drawn = evaluate_drawings(arguments.net, net, Path(folder), arguments.sheet)
        print(drawn, flush=True)
        test = datasets.load("mnist", arguments.data, "test")[0]
        inputs = []
        for n, image in enumerate(test.images):
            enlarged = enlarge(image, n)
            if n < FILES:
                file = Path(folder) / f"digit.{('png', 'jpg')[n // 2 % 2]}"
                inputs.append(write_and_read(enlarged, file))
            else:
                inputs.append(to_mnist(to_grey(enlarged)))
    predicted, confidence = predict(arguments.net, net, inputs)
    original = predict(arguments.net, net, list(test.images))
    body = {"command": "python bench/images.py data --out records/images.json --sheet docs/own-digits.png"}
    body |= {"model": model, "digest": checkpoint.digest(net.state_dict()), "threshold": MIN_CONFIDENCE}
    versions = {name: metadata.version(name) for name in ("mnistctl", "torch", "numpy", "scipy", "pillow")}
    body |= {"versions": versions | {"python": platform.python_version()}, "machine": hardware_info()}
    tight = [to_mnist(to_grey(crop_tightly(image, n))) for n, image in enumerate(test.images[:TIGHT])]
    body |= {
        "drawn": drawn,
        "tight": summarize(test.labels[:TIGHT], *predict(arguments.net, net, tight)),
        "mnist": summarize(test.labels, predicted, confidence),
        "mnist_original": summarize(test.labels, *original),
        "mnist_files": summarize(test.labels[:FILES], predicted[:FILES], confidence[:FILES]),
        "mnist_files_original": summarize(test.labels[:FILES], *(each[:FILES] for each in original)),
    }
    for name in ("tight", "mnist", "mnist_original", "mnist_files", "mnist_files_original"):
        print(name, body[name])
    if arguments.out:
        arguments.out.write_text(json.dumps(body, indent=1) + "\n")


def evaluate_drawings(path: Path, net: torch.nn.Module, folder: Path, sheet: Path | None) -> dict:
    """Predict all drawings of tests/drawing.py; write the figure of them to `sheet`."""
    drawings = [drawing.drawing(number) for number in range(drawing.COUNT)]
    inputs = [write_and_read(each.picture, folder / f"{n}.{each.ending}") for n, each in enumerate(drawings)]
    labels = np.array([each.digit for each in drawings])
    predicted, confidence = predict(path, net, inputs)
    if sheet:
        grids.write_png(sheet, make_sheet(drawings, inputs, predicted, confidence))
    body = summarize(labels, predicted, confidence)
    body["failures"] = [
        {"number": n, "digit": each.digit, "read": int(predicted[n]), "how": each.how}
        | {"probability": round(float(confidence[n]), 3)}
        for n, each in enumerate(drawings)
        if predicted[n] != each.digit
    ]
    results = labels, predicted, confidence
    body["written"] = summarize(*(each[: drawing.WRITTEN] for each in results))
    body["printed"] = summarize(*(each[drawing.WRITTEN :] for each in results))
    return body


if __name__ == "__main__":
    main()
