"""Checkpoints: tensors and a JSON header in one safetensors file. Nothing in it is ever executed."""

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
from mnistctl.errors import CheckpointError, OutputError

Header = Mapping[str, Any]  # a JSON object
Contents = tuple[dict[str, Any], dict[str, Tensor]]  # the header and the tensors
FORMAT = 3  # of the header
NET, RUN = "net", "run"  # kinds of checkpoints: the final weights of a run; the state of an unfinished run
_OLDER_FORMATS = {NET: (2,), RUN: ()}  # which are read too
MAX_BYTES = 1 << 30  # of a checkpoint; the largest state of a shipped model takes 20 MB, plus its pictures
_REMEDIES = ("retrain",)  # of a damaged file
# What is named in place of a checkpoint by mistake: images, and the other files of a run.
_IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".heic", ".pdf")
_RUN_ENDINGS = (".json", ".jsonl")
_MAX_HEADER_BYTES = 1 << 26  # a million learning rates take half of it; safetensors allows 100 MB


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, in hex, of the tensors' names, types, shapes and bytes, whatever their order and device."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def save(path: Path, kind: str, header: Header, tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: the file.
        kind: NET or RUN.
        header: a JSON object. It is stored under the key `mnistctl` of the file's metadata, together with
            the format, the kind and a checksum of the whole file.
        tensors: the tensors by name.

    Raises:
        OutputError: the file cannot be written, or is so large that it would not be read again.
    """
    files.write(path, encode(path, kind, header, tensors))


def encode(path: Path, kind: str, header: Header, tensors: Mapping[str, Tensor]) -> bytes:
    """The contents of a checkpoint, as `save` writes them; `path` is for errors.

    Raises:
        OutputError: it is so large that it would not be read again.
    """
    copies: dict[str, Tensor] = {}
    written: set[int] = set()  # the addresses of memory that has a name: layers may share their weights
    for name, tensor in tensors.items():
        copy = tensor.detach().cpu().contiguous()
        address = copy.untyped_storage().data_ptr()
        copies[name] = copy.clone() if address in written else copy
        written.add(address)
    own = {"program": "mnistctl", "format": FORMAT, "kind": kind, "checksum": files.CHECKSUM_PLACEHOLDER}
    content = pack(copies, {"mnistctl": json.dumps(dict(header) | own)})
    length = int.from_bytes(content[:8], "little")
    for part, size, limit in (("header", length, _MAX_HEADER_BYTES), ("file", len(content), MAX_BYTES)):
        if size > limit:
            raise OutputError(
                f"{path}: not written: a {part} of {size:,} bytes, of which {limit:,} can be read"
            )
    return files.add_checksum(content)


def load(path: Path, kind: str) -> Contents:
    """Read a checkpoint: its header and its tensors. Those of a net are all finite.

    Args:
        path: the file.
        kind: the kind that it must be, NET or RUN.

    Raises:
        CheckpointError: the file is missing, damaged, foreign, of another format or kind, or not finite.
    """
    try:
        content = files.read(path, MAX_BYTES)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint", remedies=("train", "out_dir")) from None
    except OSError as error:
        message = f"{path}: cannot be read ({files.reason(error)})"
        raise CheckpointError(message, remedies=_REMEDIES) from None
    return decode(path, content, kind)


def decode(path: Path, content: bytes, kind: str) -> Contents:
    """The header and the tensors in the contents of a checkpoint; `path` is for errors.

    Of an unfinished run, the state of the optimizer may have other than finite numbers.

    Raises:
        CheckpointError: it is damaged, foreign, of another format or kind, or not finite.
    """
    header = _read_header(path, content)
    if header.get("format") not in (FORMAT, *_OLDER_FORMATS[NET]):
        message = (
            f"checkpoint format {header.get('format')!r:.20}; this version of mnistctl reads 2 and {FORMAT}"
        )
        raise CheckpointError(f"{path}: {message}", remedies=("update",))
    if not files.verify_checksum(content):
        message = f"{path}: damaged: the contents do not match the checksum"
        raise CheckpointError(message, remedies=_REMEDIES)
    if header.get("kind") != kind:
        message = "of an unfinished run" if header.get("kind") == RUN else "of a trained model, not of a run"
        remedy = "finish" if kind == NET else "overwrite"
        raise CheckpointError(f"{path}: a checkpoint {message}", remedies=(remedy,))
    if header["format"] not in (FORMAT, *_OLDER_FORMATS[kind]):
        message = "an unfinished run of an older version of mnistctl, which this version cannot resume"
        raise CheckpointError(f"{path}: {message}", remedies=("overwrite",))
    try:
        tensors = unpack(content)
        finite = kind == RUN or all(bool(tensor.isfinite().all()) for tensor in tensors.values())
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RuntimeError):
        raise _not_a_checkpoint(path) from None
    if not finite:
        raise CheckpointError(f"{path}: contains numbers that are not finite", remedies=_REMEDIES)
    return header, tensors


def _read_header(path: Path, content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    if not 0 < length <= min(len(content) - 8, _MAX_HEADER_BYTES):
        raise _not_a_checkpoint(path)
    try:
        header = files.parse_json(content[8 : 8 + length].decode())["__metadata__"]["mnistctl"]
        header = files.parse_json(header)
    except (ValueError, KeyError, TypeError):
        raise _not_a_checkpoint(path) from None
    if not isinstance(header, dict):
        raise _not_a_checkpoint(path)
    return header


def _not_a_checkpoint(path: Path) -> CheckpointError:
    if path.suffix.lower() in _IMAGE_ENDINGS:
        return CheckpointError(f"{path}: an image, not a trained model", remedies=("name_image",))
    weights = path.with_suffix(".safetensors")
    if path.suffix in _RUN_ENDINGS and weights.is_file():
        return CheckpointError(f"{path}: not the weights of the run, which are in {weights}")
    message = f"{path}: not a checkpoint of mnistctl, or a damaged one"
    return CheckpointError(message, remedies=_REMEDIES)


def flatten_state(**parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of all `parts`, each name after its part's: `net.0.weight`. They share memory."""
    return {f"{part}.{name}": tensor for part, named in parts.items() for name, tensor in named.items()}


def split_state(state: Mapping[str, Tensor], *names: str) -> list[dict[str, Tensor]]:
    """The parts of a flattened state, in the order of `names`.

    Raises:
        KeyError: a tensor belongs to none of them.
    """
    parts: dict[str, dict[str, Tensor]] = {name: {} for name in names}
    for key, tensor in state.items():
        part, _, name = key.partition(".")
        parts[part][name] = tensor
    return list(parts.values())
