"""How a net runs, never what it computes: device, threads, memory format, slices."""

import os
import platform
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

from mnistctl.errors import UsageError
from mnistctl.layers import Dropout

_SLICE = 100  # digits whose activations stay in a processor core's cache; bench/slices.py shows it


def device(name: str) -> torch.device:
    """The device called `name`: auto (cuda, else mps, else cpu), cpu, cuda, cuda:N or mps.

    Raises:
        UsageError: no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and (kind != "cuda" or not number.isdecimal())):
        raise UsageError(f"--device {name!r} is not one of auto, cpu, cuda, cuda:N, mps")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError("this machine has no mps device; try --device cpu")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) >= count:
            raise UsageError(f"--device {name}: this machine has {count} CUDA devices; try --device cpu")
        return torch.device("cuda", int(number or 0))
    return torch.device(kind)


def set_threads(count: int | None) -> int:
    """Use `count` processor threads (torch's own choice where None) and say how many are used.

    Raises:
        UsageError: not a number of threads that this machine can give.
    """
    if count is not None:
        most = max(os.cpu_count() or 1, torch.get_num_threads())
        if not 1 <= count <= most:
            raise UsageError(f"--threads {count}: this machine has {most} processors; give 1 to {most}")
        torch.set_num_threads(count)
    return torch.get_num_threads()


def repeatable() -> None:
    """Ask for algorithms that give the same bits each time, where the device has them."""
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def machine() -> dict[str, str | int]:
    """What a run's seconds and last bits depend on: the processor, its cores and vector width, the system."""
    name = platform.processor() or platform.machine()
    with suppress(OSError, StopIteration):  # Linux keeps the processor's name here, and Python does not look
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "processor": name,
        "cores": os.cpu_count() or 1,
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def prepare(net: nn.Module, device: torch.device) -> nn.Module:
    """The same net on `device`, its weights, keys and gradients unchanged, ready to run fast there."""
    for name, child in list(net.named_children()):
        if type(child) is nn.Dropout:
            setattr(net, name, Dropout(child.p))
        else:
            prepare(child, device)
    return net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def slice_of(net: nn.Module, batch: int, device: torch.device) -> int:
    """How many digits of a batch to put through `net` at once; the gradients of the slices add up.

    All of them where batch norm looks across the batch, and on devices without a processor's caches.
    """
    modules = list(net.modules())
    convolves = any(isinstance(m, nn.Conv2d) for m in modules)
    looks_across = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in modules)
    return min(batch, _SLICE) if device.type == "cpu" and convolves and not looks_across else batch
