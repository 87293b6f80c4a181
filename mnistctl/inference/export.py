"""A trained classifier as an ONNX file, there only if ONNX Runtime reads the digits as the net does."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mnistctl.artifacts import files
from mnistctl.data.digits import Digits
from mnistctl.errors import OutputError, UsageError

_OPSET = 20
_BATCH = 500  # digits


# What torch's exporter warns of within itself: its own deprecated calls, and the weights of an LSTM, which
# it keeps in a list beside its parameters.
_EXPORTER_WARNINGS = (r"`isinstance\(treespec, LeafSpec\)` is deprecated", r"The tensor attributes self\.")


@dataclass(frozen=True)
class Exported:
    """An ONNX file whose net reads so many digits as ours does, the logits at most `difference` apart."""

    path: str
    opset: int
    digits: int
    difference: float


def require_installed() -> None:
    """See that what it takes is installed.

    Raises:
        UsageError: it is not.
    """
    absent = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if absent:
        raise UsageError(f"--onnx needs {' and '.join(absent)}: pip install 'mnistctl[onnx]'")


def export_onnx(path: Path, net: nn.Module, digits: Digits, outputs: Tensor) -> Exported:
    """Write `net` to `path` as ONNX, once ONNX Runtime reads each of `digits` as `outputs` [N, 10] do.

    The graph takes `pixels`, float32 [batch, 1, 28, 28] scaled to [-1, 1], for any number of digits in a
    batch, and gives `logits`, float32 [batch, 10]. The net is left on the CPU.

    Raises:
        UsageError: as `able`.
        OutputError: it reads other digits, or `path` cannot be written.
    """
    require_installed()
    content = _to_onnx(net.cpu().eval().requires_grad_(False))
    found = _run_onnx(content, digits)
    expected = outputs.cpu()
    other = int((found.argmax(1) != expected.argmax(1)).sum())
    if other:
        raise OutputError(
            f"{path}: not written: ONNX Runtime reads {other} of {len(digits)} digits otherwise"
        )
    files.write(path, content)
    return Exported(str(path), _OPSET, len(digits), float((found - expected).abs().max()))


def _to_onnx(net: nn.Module) -> bytes:
    pixels = torch.zeros(2, 1, 28, 28)  # two, since one would be taken for a constant
    with _quiet_exporter():
        # Captured first: given the net, the exporter would take a recurrent layer apart into a loop.
        captured = torch.export.export(net, (pixels,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        program = torch.onnx.export(
            captured,
            (pixels,),
            input_names=["pixels"],
            output_names=["logits"],
            dynamic_shapes=({0: "batch"},),
            opset_version=_OPSET,
            verbose=False,
        )
    assert program is not None
    model: Any = program.model_proto
    for told in (model.graph, *model.graph.node, *model.graph.value_info):
        told.ClearField("metadata_props")  # where in whose folders each line of the net's code stood
    return bytes(model.SerializeToString())


def _run_onnx(content: bytes, digits: Digits) -> Tensor:
    """The logits [N, 10] that ONNX Runtime gives."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    parts = []
    for begin in range(0, len(digits), _BATCH):
        pixels, _ = digits.take(slice(begin, begin + _BATCH))
        parts.append(torch.from_numpy(session.run(["logits"], {"pixels": pixels.cpu().numpy()})[0]))
    return torch.cat(parts)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")  # misses torchvision
    level = logger.level
    with warnings.catch_warnings():
        for message in _EXPORTER_WARNINGS:
            warnings.filterwarnings("ignore", message)
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
