"""Export a trained classifier as ONNX, checked against ONNX Runtime."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mnistctl.artifacts import files
from mnistctl.data.batches import Digits
from mnistctl.errors import OutputError, UsageError
from mnistctl.schema import Schema

_OPSET = 20
_BATCH_SIZE = 500


@dataclass(frozen=True)
class OnnxExport(Schema):
    """An ONNX file that gives the same prediction as the net for all of `count` images.

    The logits differ by at most `max_difference`.
    """

    path: str
    opset: int
    count: int
    max_difference: float


def require_installed() -> None:
    """Check that the packages for the export are installed.

    Raises:
        UsageError: one is not.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        names = " ".join(missing)
        raise UsageError(f"ONNX export needs packages that are not installed; run pip install {names}")


def export_onnx(path: Path, net: nn.Module, digits: Digits, logits: Tensor) -> OnnxExport:
    """Write `net` to `path` as ONNX, if ONNX Runtime predicts the same digit for every image.

    The graph takes `pixels`, float32 [batch, 1, 28, 28] in [-1, 1], with any number of images in a batch, and
    returns `logits`, float32 [batch, 10]. The net is on the CPU afterwards.

    Args:
        path: the file to write.
        net: the classifier.
        digits: images to compare the predictions on.
        logits: the net's logits for them, [N, 10].

    Raises:
        UsageError: a package is not installed.
        OutputError: the net cannot be exported, a prediction differs, or `path` cannot be written.
    """
    require_installed()
    net, expected = net.cpu().eval().requires_grad_(False), logits.cpu()
    try:
        content = _to_onnx(net)
        actual = _run_onnx(content, digits)
    except Exception as error:  # noqa: BLE001 - torch and ONNX Runtime raise errors of many types here
        message = f"{path}: not written: this net cannot be exported ({describe_failure(error)})"
        raise OutputError(message) from None
    mismatches = int((actual.argmax(1) != expected.argmax(1)).sum())
    if mismatches:
        images = f"{mismatches} of {len(digits)} images"
        raise OutputError(f"{path}: not written: ONNX Runtime predicts another digit for {images}")
    files.write(path, content)
    return OnnxExport(str(path), _OPSET, len(digits), float((actual - expected).abs().max()))


def _to_onnx(net: nn.Module) -> bytes:
    pixels = torch.zeros(2, 1, 28, 28)  # a batch of one would become a constant
    with quiet_exporter():
        # Captured first: from the net itself, the exporter would turn a recurrent layer into a loop.
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
    for part in (model.graph, *model.graph.node, *model.graph.value_info):
        part.ClearField("metadata_props")  # source paths of this machine
    return bytes(model.SerializeToString())


def _run_onnx(content: bytes, digits: Digits) -> Tensor:
    """The logits [N, 10] that ONNX Runtime computes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    batches = []
    for start in range(0, len(digits), _BATCH_SIZE):
        pixels, _ = digits.take(slice(start, start + _BATCH_SIZE))
        batches.append(torch.from_numpy(session.run(["logits"], {"pixels": pixels.cpu().numpy()})[0]))
    return torch.cat(batches)


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Discard what torch says while it exports a net.

    It warns about its own calls. Of a net that it cannot export it logs and prints the operations.
    """
    disabled = logging.root.manager.disable
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        logging.disable()
        try:
            yield
        finally:
            logging.disable(disabled)


def describe_failure(error: BaseException) -> str:
    """Why torch cannot export a net, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0] or type(error).__name__
