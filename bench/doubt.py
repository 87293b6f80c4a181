"""Whether wrong predictions and pictures without a digit are marked as unsure.

    python bench/doubt.py HANDWRITING [--net records/conv.safetensors] [--held-out NET DATA_DIR]
        [--out FILE]

HANDWRITING is a folder of pictures named `sourceNNN_labelD_*`. The minimum confidence is chosen on four
fifths of the sources, so that 8 % of their pictures are marked, and measured on the others. With --held-out,
the temperature is fitted on digits that the net was not trained with: the test split of DATA_DIR.
"""

import argparse
import json
import platform
import re
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax

sys.path.insert(0, str(Path(__file__).parent))
import no_digits

from mnistctl.artifacts import checkpoint
from mnistctl.data import datasets, photos
from mnistctl.inference import detector, load
from mnistctl.inference.confidence import MIN_CONFIDENCE, confidences, temperature_of
from mnistctl.inference.forward import compute_image_logits
from mnistctl.nn.device import hardware_info

MARKED = 0.08  # share of the pictures
FOLDS = 5
SHARES = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30)  # percent marked, on the curve


def to_inputs(greys: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What a net receives, [N, 28, 28], and whether a digit was found, [N]."""
    images = [photos.to_mnist(grey) for grey in greys]
    found = np.array([image is not None for image in images])
    return np.stack([np.zeros((28, 28), np.uint8) if image is None else image for image in images]), found


def scores(
    images: np.ndarray, found: np.ndarray, logits: np.ndarray, temperature: float
) -> dict[str, np.ndarray]:
    """Measures of confidence, [N] each; minus infinity where no digit was found."""
    probabilities = softmax(logits / temperature, 1)
    ordered = np.sort(logits, 1)
    measures = {
        "probability": probabilities.max(1),
        "logit margin": ordered[:, -1] - ordered[:, -2],
        "energy": logsumexp(logits, 1),
        "detector: is a digit": detector.digit_odds(images),
        "detector: this digit": np.take_along_axis(
            softmax(detector.digit_logits(images), 1), logits.argmax(1)[:, None], 1
        )[:, 0],
        "agreement over shifts": shifted(images, logits),
        "confidence": confidences(images, probabilities),
    }
    return {name: np.where(found, values, -np.inf) for name, values in measures.items()}


NET: dict[str, torch.nn.Module] = {}


def shifted(images: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """The mean probability of the predicted digit over the image and its four shifts by a pixel."""
    moves = [np.roll(images, move, (1, 2)) for move in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))]
    mean = np.mean([softmax(compute_image_logits(NET["net"], each).numpy(), 1) for each in moves], 0)
    return np.take_along_axis(mean, logits.argmax(1)[:, None], 1)[:, 0]


def cross_validate(values: np.ndarray, right: np.ndarray, sources: np.ndarray, others: np.ndarray) -> dict:
    """Thresholds chosen on four fifths of the sources, measured on the others, in percent.

    Args:
        values: the confidence in each picture.
        right: whether it was read right.
        sources: the source of each picture.
        others: the confidence in pictures that show no digit.
    """
    names = np.random.default_rng(0).permutation(np.unique(sources))
    marked, thresholds, refused = np.zeros(len(values), bool), [], []
    for fold in range(FOLDS):
        outside = np.isin(sources, names[fold::FOLDS])
        threshold = np.quantile(values[~outside], MARKED, method="higher")
        marked[outside] = values[outside] < threshold
        thresholds.append(float(threshold))
        refused.append(float((others < threshold).mean()))
    return {
        "marked": percent(marked.mean()),
        "right_of_unmarked": percent(right[~marked].mean()),
        "wrong_marked": percent(marked[~right].mean()),
        "no_digit_marked": percent(np.mean(refused)),
        "thresholds": [round(each, 4) for each in thresholds],
    }


def curve(values: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """The share of right predictions among those that are not marked, for each share that is marked."""
    order = np.argsort(values, kind="stable")
    return {str(share): percent(right[order[round(share / 100 * len(order)) :]].mean()) for share in SHARES}


def percent(share: float) -> float:
    return round(100 * float(share), 2)


def fit_temperature(path: Path, data: Path) -> dict:
    """The temperature with the least loss on digits that the net was not trained with (Guo et al. 2017)."""
    test = datasets.load("own", data, "test")[0]
    net = load.load_classifier(path)[1]
    logits = compute_image_logits(net, test.images).double().numpy()

    def loss(temperature: float) -> float:
        return float(
            -np.take_along_axis(
                log_softmax(logits / temperature, 1), test.labels[:, None].astype(int), 1
            ).mean()
        )

    best = float(minimize_scalar(loss, bounds=(0.2, 5), method="bounded").x)
    right = logits.argmax(1) == test.labels
    body = {
        "digits": len(test.labels),
        "digest": checkpoint.digest(net.state_dict()),
        "accuracy": percent(right.mean()),
    }
    for name, temperature in (("without", 1.0), ("with", best)):
        body[f"loss_{name}"] = round(loss(temperature), 5)
        body[f"ece_{name}"] = percent(calibration_error(softmax(logits / temperature, 1).max(1), right))
    return body | {"temperature": round(best, 3)}


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """The expected calibration error over 15 bins of equal width."""
    bins = np.minimum((confidence * 15).astype(int), 14)
    return float(sum(abs((confidence - right)[bins == b].sum()) for b in range(15)) / len(right))


def main() -> None:
    """Measure everything, print it, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("handwriting", type=Path)
    parser.add_argument("--net", type=Path, default=Path("records/conv.safetensors"))
    parser.add_argument("--held-out", type=Path, nargs=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, net = load.load_classifier(arguments.net)
    NET["net"] = net
    temperature = temperature_of(model)
    body: dict = {"command": "python bench/doubt.py HANDWRITING --held-out NET DATA --out records/doubt.json"}
    body |= {"model": model, "digest": checkpoint.digest(net.state_dict())}
    versions = {name: metadata.version(name) for name in ("mnistctl", "torch", "numpy", "scipy", "pillow")}
    body |= {"versions": versions | {"python": platform.python_version()}, "machine": hardware_info()}
    if arguments.held_out:
        body["held_out"] = fit_temperature(*arguments.held_out)
        print(body["held_out"], flush=True)
    paths = [
        path for path in sorted(arguments.handwriting.iterdir()) if re.match(r"source\d+_label\d_", path.name)
    ]
    labels = np.array([int(path.name.split("_label")[1][0]) for path in paths])
    sources = np.array([path.name.split("_")[0] for path in paths])
    images, found = to_inputs([photos.load_image(path)[0] for path in paths])
    logits = compute_image_logits(net, images).double().numpy()
    right = found & (logits.argmax(1) == labels)
    kinds, pictures = zip(*(no_digits.no_digit(n) for n in range(no_digits.COUNT)), strict=True)
    other_images, other_found = to_inputs([photos.to_grey(picture) for picture in pictures])
    ours = scores(images, found, logits, temperature)
    others = scores(
        other_images, other_found, compute_image_logits(net, other_images).double().numpy(), temperature
    )
    body |= {"pictures": len(paths), "sources": len(set(sources)), "right": percent(right.mean())}
    body["ece_probability"] = percent(
        calibration_error(softmax(logits / temperature, 1).max(1)[found], right[found])
    )
    body["folds"] = {name: cross_validate(ours[name], right, sources, others[name]) for name in ours}
    body["curve"] = {name: curve(ours[name], right) for name in ("probability", "confidence")}
    unsure, refused = ours["confidence"] < MIN_CONFIDENCE, others["confidence"] < MIN_CONFIDENCE
    body["shipped"] = {
        "min_confidence": MIN_CONFIDENCE,
        "temperature": temperature,
        "marked": percent(unsure.mean()),
        "right_of_unmarked": percent(right[~unsure].mean()),
        "no_digit_marked": percent(refused.mean()),
        "not_found": percent((~other_found).mean()),
        "no_digit_marked_by_kind": {
            kind: percent(refused[np.array(kinds) == kind].mean()) for kind in dict.fromkeys(kinds)
        },
    }
    for name, each in [*body["folds"].items(), ("curve", body["curve"]), ("shipped", body["shipped"])]:
        print(name, each)
    if arguments.out:
        arguments.out.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
