"""Tensors and what is to be known of them, to and from a file: safetensors and JSON, nothing executed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load as unpack
from safetensors.torch import save as pack
from torch import Tensor

from mnistctl import files
from mnistctl.errors import CheckpointError

FORMAT = 2
NET, RUN = "net", "run"  # what a checkpoint is of: the weights that a run ended with; a run to go on with
_LARGEST = 1 << 30  # bytes; the largest state here takes 20 MB
_LARGEST_HEADER = 1 << 22


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, in hex, of the tensors: names, types, shapes and bytes, whatever their order or device."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def save(path: Path, kind: str, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint of `kind`, NET or RUN, to `path`, whole or not at all.

    `about` goes into the header as JSON, under `mnistctl`, with the format and a checksum of the whole file.

    Raises:
        OutputError: `path` cannot be written.
    """
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    own = {"program": "mnistctl", "format": FORMAT, "kind": kind, "checksum": files.UNSIGNED}
    files.write(path, files.signed(pack(held, {"mnistctl": json.dumps(dict(about) | own)})))


def load(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `save` was told of the checkpoint at `path`, and its tensors, each of them finite.

    Raises:
        CheckpointError: missing, damaged, not one of ours, of another format or kind, or not finite.
    """
    try:
        content = files.read(path, _LARGEST)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint; train one, or see --out-dir") from None
    except OSError as fault:
        raise CheckpointError(f"{path}: cannot be read ({files.reason(fault)})") from None
    about = _about(path, content)
    if about.get("format") != FORMAT:
        form = f"checkpoint format {about.get('format')!r:.20}"
        raise CheckpointError(f"{path}: {form}; this version of mnistctl reads {FORMAT}")
    if not files.intact(content):
        raise CheckpointError(f"{path}: damaged: the contents do not match their checksum")
    if about.get("kind") != kind:
        held = "a run that is not finished" if about.get("kind") == RUN else "a net, not a run to go on with"
        raise CheckpointError(f"{path}: holds {held}")
    try:
        tensors = unpack(content)
        finite = all(bool(tensor.isfinite().all()) for tensor in tensors.values())
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RuntimeError):
        raise _foreign(path) from None
    if not finite:
        raise CheckpointError(f"{path}: holds numbers that are not finite")
    return about, tensors


def _about(path: Path, content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    if not 0 < length <= min(len(content) - 8, _LARGEST_HEADER):
        raise _foreign(path)
    try:
        about = json.loads(json.loads(content[8 : 8 + length].decode())["__metadata__"]["mnistctl"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _foreign(path) from None
    if not isinstance(about, dict):
        raise _foreign(path)
    return about


def _foreign(path: Path) -> CheckpointError:
    return CheckpointError(f"{path}: not a checkpoint of mnistctl, or a damaged one")
