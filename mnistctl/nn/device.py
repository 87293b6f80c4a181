"""Where and how a net runs: device, threads, precision, memory allocation; and what hardware there is."""

import ctypes
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

import torch

from mnistctl.errors import UsageError
from mnistctl.nn.cores import available_cores

# Instruction sets that make a difference here, as Linux names them.
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
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # constants of glibc's malloc.h


def get_device(name: str) -> torch.device:
    """The device called `name`: auto (cuda, else mps, else cpu), cpu, cuda, cuda:N or mps.

    Raises:
        UsageError: this machine does not have it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind, colon, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and (kind != "cuda" or not number.isdecimal())):
        raise UsageError("choose one of auto, cpu, cuda, cuda:N, mps", field="device", value=name)
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError("this machine has no mps device; use cpu", field="device", value=name)
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) >= count:
            message = f"this machine has {count} CUDA devices; use cpu"
            raise UsageError(message, field="device", value=name)
        return torch.device("cuda", int(number or 0))
    return torch.device(kind)


def list_devices() -> list[torch.device]:
    """The devices of this machine, the CPU first."""
    gpus = [torch.device("cuda", n) for n in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        gpus.append(torch.device("mps"))
    return [torch.device("cpu"), *gpus]


def set_threads(count: int | None) -> int:
    """Set the number of CPU threads.

    Args:
        count: number of threads; None for torch's own, which is that of the cores or OMP_NUM_THREADS, but not
            more than the cores that this process may use.

    Returns:
        The number of threads in use.

    Raises:
        UsageError: `count` is less than 1 or more than this machine has.
    """
    check_threads(count)
    current = torch.get_num_threads()
    if count is None:
        count = min(current, available_cores())
    if count != current:
        torch.set_num_threads(count)
    return count


def check_threads(count: int | None) -> None:
    """Check a number of CPU threads.

    Raises:
        UsageError: it is less than 1 or more than this machine has.
    """
    most = max(os.cpu_count() or 1, torch.get_num_threads())
    if count is not None and not 1 <= count <= most:
        message = f"this machine has {most} CPU cores; give 1 to {most}"
        raise UsageError(message, field="threads", value=count)


@contextmanager
def restored_threads() -> Iterator[None]:
    """Set the number of CPU threads back at the end."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def set_arithmetic() -> None:
    """Use deterministic algorithms, where the device has them, and real float32 on NVIDIA GPUs.

    By default, torch lets cuDNN round the inputs of float32 convolutions and LSTMs to the 10 bits of TF32.
    """
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False


def tune_malloc() -> None:
    """Let the process reuse freed memory for the next step, if the C library is glibc.

    By default glibc returns large blocks to the system after each use, which must then clear every page.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, 2**25)  # glibc's maximum
        library.mallopt(_M_TRIM_THRESHOLD, 2**29)


HardwareInfo = dict[str, str | int | tuple[str, ...] | None]


def hardware_info(device: torch.device | None = None) -> HardwareInfo:
    """What run times and the last bits of results depend on, as `training.machine.MachineInfo` has it.

    Args:
        device: the device in use; the product name of a CUDA device is added.
    """
    return {
        "processor": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "python": platform.python_version(),
        "features": cpu_features(),
        "gpu": None if device is None else gpu_name(device),
    }


def gpu_name(device: torch.device) -> str | None:
    """The product name of a CUDA device; None for other devices."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None


def cpu_features() -> tuple[str, ...]:
    """The relevant instruction sets of the processor; empty if the system is not Linux."""
    flags = (_cpuinfo("flags") or _cpuinfo("Features")).split()
    return tuple(name for name in _FEATURES if name in flags)


def _cpuinfo(name: str) -> str:
    """The value of `name` in /proc/cpuinfo, or "". Python's platform module does not read that file."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return ""


def autocast_for(precision: str, device: torch.device) -> Callable[[], AbstractContextManager[object]]:
    """A function that gives a context manager for forward passes in float32 or bf16.

    Raises:
        UsageError: `precision` is neither, or the device does not support bfloat16 natively.
    """
    if precision == "float32":
        return nullcontext
    if precision != "bf16":
        raise UsageError("choose one of float32, bf16", field="precision", value=precision)
    if device.type == "cuda":
        native, hardware = torch.cuda.is_bf16_supported(including_emulation=False), "this GPU"
    elif device.type == "cpu" and platform.machine().lower() in ("x86_64", "amd64"):
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        hardware = "this processor (no avx512_bf16, no AMX)"
    else:
        native = device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        hardware = f"this {device.type}"
    if not native:
        message = f"{hardware} would only emulate bfloat16, slowly; use float32"
        raise UsageError(message, field="precision", value=precision)
    return partial(torch.autocast, device.type, torch.bfloat16)
