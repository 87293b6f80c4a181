"""Make the weights in the package, mnistctl/models/weights, from those in records/.

    python tools/make_pretrained.py DATA [NAME]

DATA is a folder with MNIST, on which the weights are measured. They are those of records/conv.safetensors and
of the generator in records/cgan.safetensors, in half precision. Those of conv also hold what is known about
the training digits. origin.json says where they are from, their digests, and how good they are beside the
originals. NAME makes one of the two files and its part of origin.json.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from mnistctl import __version__
from mnistctl.artifacts import checkpoint
from mnistctl.data import datasets
from mnistctl.data.batches import Digits
from mnistctl.data.training_set import describe_training_set
from mnistctl.evaluation.generator import evaluate_generator
from mnistctl.evaluation.predictions import load_classifiers, load_split, predict
from mnistctl.inference.sampling import TrainedGenerator
from mnistctl.models.pretrained import WEIGHTS

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "records"
MODELS = {"pretrained": "conv", "pretrained-cgan": "cgan"}


def main() -> None:
    """Write the weights, measure them, and write origin.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("name", nargs="?", choices=MODELS)
    options = parser.parse_args()
    data, origin_path = options.data, WEIGHTS / "origin.json"
    entries = json.loads(origin_path.read_text())["weights"] if options.name else {}
    for name in [options.name] if options.name else MODELS:
        model, path = MODELS[name], WEIGHTS / f"{name}.safetensors"
        header: dict[str, Any] = {"model": model}
        if model == "conv":
            training_set = describe_training_set(datasets.load("mnist", data, "train")[0], "mnist")
            header["training_set"] = training_set.to_json()
        _write_half(RECORDS / f"{model}.safetensors", path, header)
        measured = _measure_classifier(path, data) if model == "conv" else _measure_generator(path, data)
        entries[name] = {
            "model": model,
            "source": f"records/{model}.safetensors",
            "source_digest": json.loads((RECORDS / f"{model}.json").read_text())["digest"],
            "trained_by": json.loads((RECORDS / f"{model}.json").read_text())["command"],
            "precision": "float16",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        } | measured
        print(json.dumps(entries[name], indent=1))
    origin = {
        "command": "python tools/make_pretrained.py DATA",
        "versions": {"mnistctl": __version__, "torch": str(torch.__version__)},
        "weights": entries,
    }
    origin_path.write_text(json.dumps(origin, indent=1) + "\n")


def _write_half(source: Path, path: Path, header: dict[str, Any]) -> None:
    """Write the weights at `source` in half precision, without those of a discriminator."""
    _, weights = checkpoint.load(source, checkpoint.NET)
    half = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
        if not name.startswith("discriminator.")
    }
    checkpoint.save(path, checkpoint.NET, header, half)


def _measure_classifier(path: Path, data: Path) -> dict[str, Any]:
    """The accuracy on MNIST's test images, and how many predictions differ from those of the original."""
    split = load_split("mnist", data)
    half, full = load_classifiers([path, RECORDS / "conv.safetensors"])
    digits = Digits.of(split.arrays, half.device)
    ours, theirs = (predict(net, digits).logits.argmax(1).cpu() for net in (half, full))
    labels = torch.from_numpy(split.arrays.labels)
    return {
        "digest": half.digest,
        "test_images": len(labels),
        "accuracy": 100 * float((ours == labels).double().mean()),
        "source_accuracy": 100 * float((theirs == labels).double().mean()),
        "other_predictions": int((ours != theirs).sum()),
    }


def _measure_generator(path: Path, data: Path) -> dict[str, Any]:
    """The metrics of 10,000 generated images, with records/conv.safetensors as the reference classifier."""
    (reference,) = load_classifiers([RECORDS / "conv.safetensors"])
    train, test = load_split("mnist", data, "train").arrays, load_split("mnist", data)
    metrics = {}
    for prefix, each in (("", path), ("source_", RECORDS / "cgan.safetensors")):
        generator = TrainedGenerator.load(each)
        result = evaluate_generator(generator, reference, train, test)
        assert result.conditional_accuracy is not None
        metrics |= {
            f"{prefix}frechet": result.frechet.value,
            f"{prefix}conditional_accuracy": result.conditional_accuracy.value,
        }
        if not prefix:
            metrics["digest"] = generator.digest
    return metrics


if __name__ == "__main__":
    main()
