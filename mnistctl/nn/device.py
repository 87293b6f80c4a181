"""How a net runs, never what it computes: device, threads, memory format, slices."""

import ctypes
import os
import platform
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path

import torch

from mnistctl.errors import UsageError

_FEATURES = (
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "amx_bf16",
    "asimd",
    "sve",
    "bf16",
)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def get_device(name: str) -> torch.device:
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


def list_devices() -> list[torch.device]:
    """The devices that this machine has, the processor first."""
    graphics = [torch.device("cuda", n) for n in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        graphics.append(torch.device("mps"))
    return [torch.device("cpu"), *graphics]


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


def set_deterministic() -> None:
    """Ask for algorithms that give the same bits each time, where the device has them."""
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def tune_malloc() -> None:
    """Let the process keep what a step frees for the next one, where the C library is glibc.

    Otherwise it gives large blocks back after every use, and the system clears each of their pages anew.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, 2**25)  # the most that glibc takes
        library.mallopt(_M_TRIM_THRESHOLD, 2**29)


def hardware_info() -> dict[str, str | int]:
    """What a run's seconds and last bits depend on: the processor, its cores and vector width, the system."""
    return {
        "processor": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def cpu_features() -> list[str]:
    """Which of the instructions that matter here the processor has; none where the system is not Linux."""
    told = (_cpuinfo("flags") or _cpuinfo("Features")).split()
    return [name for name in _FEATURES if name in told]


def _cpuinfo(name: str) -> str:
    # Where Python does not look.
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return ""


def autocast_for(name: str, device: torch.device) -> Callable[[], AbstractContextManager[object]]:
    """What a forward pass is put into for the arithmetic `name`, float32 or bf16: gives a context manager.

    Raises:
        UsageError: the device would only emulate it.
    """
    if name == "float32":
        return nullcontext
    if name != "bf16":
        raise UsageError(f"--precision {name!r} is neither float32 nor bf16")
    if device.type == "cuda":
        native, what = torch.cuda.is_bf16_supported(including_emulation=False), "this GPU"
    elif device.type == "cpu" and platform.machine().lower() in ("x86_64", "amd64"):
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        what = "this processor (no avx512_bf16, no AMX)"
    else:
        native = device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        what = f"this {device.type}"
    if not native:
        raise UsageError(f"--precision bf16: {what} would only emulate bfloat16, slowly; use float32")
    return partial(torch.autocast, device.type, torch.bfloat16)
