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

from mnistctl.artifacts import files
from mnistctl.errors import CheckpointError

FORMAT = 2
NET, RUN = "net", "run"  # what a checkpoint is of: the weights that a run ended with; a run to go on with
_MAX_BYTES = 1 << 30  # bytes; the largest state here takes 20 MB
_MAX_HEADER_BYTES = 1 << 22


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
    own = {"program": "mnistctl", "format": FORMAT, "kind": kind, "checksum": files.CHECKSUM_PLACEHOLDER}
    files.write(path, files.add_checksum(pack(held, {"mnistctl": json.dumps(dict(about) | own)})))


def load(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `save` was told of the checkpoint at `path`, and its tensors, each of them finite.

    Raises:
        CheckpointError: missing, damaged, not one of ours, of another format or kind, or not finite.
    """
    try:
        content = files.read(path, _MAX_BYTES)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint; train one, or see --out-dir") from None
    except OSError as fault:
        raise CheckpointError(f"{path}: cannot be read ({files.reason(fault)})") from None
    about = _read_header(path, content)
    if about.get("format") != FORMAT:
        form = f"checkpoint format {about.get('format')!r:.20}"
        raise CheckpointError(f"{path}: {form}; this version of mnistctl reads {FORMAT}")
    if not files.verify_checksum(content):
        raise CheckpointError(f"{path}: damaged: the contents do not match their checksum")
    if about.get("kind") != kind:
        held = "a run that is not finished" if about.get("kind") == RUN else "a net, not a run to go on with"
        raise CheckpointError(f"{path}: holds {held}")
    try:
        tensors = unpack(content)
        finite = all(bool(tensor.isfinite().all()) for tensor in tensors.values())
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RuntimeError):
        raise _not_a_checkpoint(path) from None
    if not finite:
        raise CheckpointError(f"{path}: holds numbers that are not finite")
    return about, tensors


def _read_header(path: Path, content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    if not 0 < length <= min(len(content) - 8, _MAX_HEADER_BYTES):
        raise _not_a_checkpoint(path)
    try:
        about = json.loads(json.loads(content[8 : 8 + length].decode())["__metadata__"]["mnistctl"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _not_a_checkpoint(path) from None
    if not isinstance(about, dict):
        raise _not_a_checkpoint(path)
    return about


def _not_a_checkpoint(path: Path) -> CheckpointError:
    return CheckpointError(f"{path}: not a checkpoint of mnistctl, or a damaged one")


def flatten_state(**parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of all `parts`, each name after its part's: `net.0.weight`; shared, not copied."""
    return {f"{part}.{name}": tensor for part, named in parts.items() for name, tensor in named.items()}


def split_state(state: Mapping[str, Tensor], *names: str) -> list[dict[str, Tensor]]:
    """The parts of a `flat` state, in the order of their `names`.

    Raises:
        KeyError: a tensor is of none of them.
    """
    found: dict[str, dict[str, Tensor]] = {name: {} for name in names}
    for key, tensor in state.items():
        part, _, name = key.partition(".")
        found[part][name] = tensor
    return list(found.values())
