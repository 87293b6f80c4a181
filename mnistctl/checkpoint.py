"""A net to and from a file: safetensors and JSON, read without executing anything."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load as unpack
from safetensors.torch import save as pack
from torch import Tensor

from mnistctl import files
from mnistctl.errors import CheckpointError

FORMAT = 1
_LARGEST = 1 << 30  # bytes; the largest net here takes 4 MB


def digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256, in hex, of the weights: names, types, shapes and bytes, whatever their order or device."""
    total = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def save(path: Path, model: str, weights: Mapping[str, Tensor]) -> None:
    """Write the weights of a net of the catalogue's `model` to `path`, whole or not at all.

    Raises:
        OSError: `path` cannot be written.
    """
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    about = {"program": "mnistctl", "format": FORMAT, "model": model, "digest": digest(held)}
    files.write(path, pack(held, {"mnistctl": json.dumps(about)}))


def load(path: Path) -> tuple[str, dict[str, Tensor]]:
    """The model's name and the weights that `save` wrote to `path`.

    Raises:
        CheckpointError: missing, damaged, not one of ours, of another format, or not finite.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise CheckpointError(f"{path}: larger than any checkpoint of mnistctl")
        content = path.read_bytes()
        weights = unpack(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = json.loads(header["__metadata__"]["mnistctl"])
        form, model, signed = about["format"], about["model"], about["digest"]
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint; train one, or see --out-dir") from None
    except OSError as fault:
        raise CheckpointError(f"{path}: cannot be read ({fault.strerror})") from None
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        raise CheckpointError(f"{path}: not a checkpoint of mnistctl, or a damaged one") from None
    if form != FORMAT:
        raise CheckpointError(f"{path}: checkpoint format {form}; this version of mnistctl reads {FORMAT}")
    if digest(weights) != signed:
        raise CheckpointError(f"{path}: damaged: the weights do not match their digest")
    if not all(bool(tensor.isfinite().all()) for tensor in weights.values()):
        raise CheckpointError(f"{path}: holds weights that are not finite")
    return str(model), weights
