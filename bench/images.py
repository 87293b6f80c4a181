"""How many pictures of digits `eval --image` reads right: drawn ones, and MNIST's own made into pictures.

    python bench/images.py DATA_DIR [--net records/conv.safetensors] [--out FILE] [--sheet FILE]

The drawn ones are all those of tests/drawing.py. Each of MNIST's test digits is enlarged, every other one
inverted, with a margin; the first 2,000 go through PNG and JPEG files, the others are never written.
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

from mnistctl.artifacts import charts, checkpoint, grids
from mnistctl.data import datasets
from mnistctl.data.images import load_image, to_grey, to_mnist
from mnistctl.inference import load
from mnistctl.inference.predict import MIN_CONFIDENCE, compute_probabilities
from mnistctl.nn.device import hardware_info

FILES = 2000
KINDS = (Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
SIDE, SEEN, CAPTION, ACROSS = 78, 56, 16, 7  # of the sheet, in pixels but for the last


def enlarged(image: np.ndarray, number: int) -> Image.Image:
    """A digit of MNIST as a picture: a margin, 1 to 10 times the size, every other one inverted."""
    chance = np.random.default_rng(number)
    wide = np.pad(image, int(chance.integers(0, 21)))
    side = round(len(wide) * chance.uniform(1, 10))
    picture = Image.fromarray(255 - wide if number % 2 else wide)
    return picture.resize((side, side), KINDS[number % 3])


def through_file(picture: Image.Image, path: Path) -> np.ndarray | None:
    """What `prepare` makes of the picture, written to `path` and read."""
    picture.save(path, quality=90)
    return to_mnist(load_image(path)[0])


def read(path: Path, net: torch.nn.Module, seen: list[np.ndarray | None]) -> tuple[np.ndarray, np.ndarray]:
    """The digits that the net reads, -1 where none was found, and the probabilities of these."""
    images = np.stack([np.zeros((28, 28), np.uint8) if image is None else image for image in seen])
    chances = compute_probabilities(path, net, images, torch.device("cpu"))
    return np.where([image is None for image in seen], -1, chances.argmax(1)), chances.max(1)


def told(labels: np.ndarray, answers: np.ndarray, chances: np.ndarray) -> dict:
    """The share read right, and of right and wrong answers those that are called unsure, in percent."""
    right, unsure = answers == labels, chances < MIN_CONFIDENCE
    share = {name: round(100 * float(unsure[of].mean()), 2) if of.any() else None
             for name, of in (("unsure_of_right", right), ("unsure_of_wrong", ~right))}  # fmt: skip
    about = {
        "pictures": len(labels),
        "right": int(right.sum()),
        "accuracy": round(100 * float(right.mean()), 2),
    }
    return about | {"none_found": int((answers < 0).sum())} | share


def sheet(drawn: list[drawing.Drawing], seen: list, answers: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """All failures and as many others as make six rows: as drawn, what the net saw, what it read."""
    wrong = [n for n, picture in enumerate(drawn) if answers[n] != picture.digit]
    others = [n for n in range(3, len(drawn), 7) if n not in wrong]
    shown = sorted(others[: 6 * ACROSS - len(wrong)]) + wrong
    across, down, head = SIDE + SEEN + 10, SIDE + CAPTION + 4, 30
    width, height = ACROSS * across + 10, head + -(-len(shown) // ACROSS) * down
    pixels, captions = np.full((height, width, 3), 255, np.uint8), []
    for place, n in enumerate(shown):
        top, left = head + place // ACROSS * down, 10 + place % ACROSS * across
        picture = drawn[n].picture
        if picture.mode == "RGBA":  # where it is transparent, as a page would show it
            page = Image.new("RGBA", picture.size, "#999999")
            picture = Image.alpha_composite(page, picture)
        small = picture.convert("RGB")
        small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
        pixels[top : top + small.height, left : left + small.width] = np.asarray(small)
        if seen[n] is not None:
            doubled = seen[n].repeat(2, 0).repeat(2, 1)[..., None]
            pixels[top : top + SEEN, left + SIDE + 2 : left + SIDE + 2 + SEEN] = doubled
        answer = "none found" if answers[n] < 0 else f"{answers[n]}, {100 * chances[n]:.0f} %"
        failed = n in wrong
        captions.append(
            (left, top + SIDE + 8, f"not {drawn[n].digit}: {answer}" if failed else answer, failed)
        )
    with charts._canvas(width / 100, height / 100) as (figure, made):
        figure.figimage(pixels, origin="upper")
        title = f"drawn, what conv saw, what it read; red: all {len(wrong)} of {len(drawn)} that it misread"
        figure.text(10 / width, 1 - 14 / height, title, weight="bold", va="center")
        for x, y, text, failed in captions:
            style = {"color": "#d1495b", "weight": "bold"} if failed else {}
            figure.text(x / width, 1 - y / height, text, fontsize=8, va="center", **style)
    return made[0]


def main() -> None:
    """Read both kinds of picture, print what came of it, and write it as JSON, the sheet as PNG."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("data", type=Path)
    asked.add_argument("--net", type=Path, default=Path("records/conv.safetensors"))
    asked.add_argument("--out", type=Path)
    asked.add_argument("--sheet", type=Path)
    given = asked.parse_args()
    model, net = load.load_classifier(given.net)
    with tempfile.TemporaryDirectory() as folder:
        drawn = [drawing.drawing(number) for number in range(drawing.COUNT)]
        seen = [through_file(d.picture, Path(folder) / f"{n}.{d.ending}") for n, d in enumerate(drawn)]
        labels = np.array([picture.digit for picture in drawn])
        answers, chances = read(given.net, net, seen)
        by_hand = told(labels, answers, chances)
        print(by_hand, flush=True)
        if given.sheet:
            grids.write_png(given.sheet, sheet(drawn, seen, answers, chances))
        by_hand["failures"] = [
            {"number": n, "digit": picture.digit, "read": int(answers[n]), "how": picture.how}
            | {"probability": round(float(chances[n]), 3)}
            for n, picture in enumerate(drawn)
            if answers[n] != picture.digit
        ]
        by_hand["written"] = told(*(each[: drawing.WRITTEN] for each in (labels, answers, chances)))
        by_hand["printed"] = told(*(each[drawing.WRITTEN :] for each in (labels, answers, chances)))
        test = datasets.load("mnist", given.data, "test")[0]
        kept = []
        for n, image in enumerate(test.images):
            picture = enlarged(image, n)
            if n < FILES:
                kept.append(through_file(picture, Path(folder) / f"digit.{('png', 'jpg')[n // 2 % 2]}"))
            else:
                kept.append(to_mnist(to_grey(picture)))
    answers, chances = read(given.net, net, kept)
    original = told(test.labels, *read(given.net, net, list(test.images)))
    body = {"command": "python bench/images.py data --out records/images.json --sheet docs/own-digits.png"}
    body |= {"model": model, "digest": checkpoint.digest(net.state_dict()), "threshold": MIN_CONFIDENCE}
    versions = {name: metadata.version(name) for name in ("mnistctl", "torch", "numpy", "scipy", "pillow")}
    body |= {"versions": versions | {"python": platform.python_version()}, "machine": hardware_info()}
    body |= {"drawn": by_hand, "mnist": told(test.labels, answers, chances), "mnist_original": original}
    body["mnist_files"] = told(test.labels[:FILES], answers[:FILES], chances[:FILES])
    body["mnist_files_original"] = told(test.labels[:FILES], *read(given.net, net, list(test.images[:FILES])))
    for name in ("mnist", "mnist_original", "mnist_files", "mnist_files_original"):
        print(name, body[name])
    if given.out:
        given.out.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
