"""How a net runs, never what it computes: device, threads, memory format, slices."""

import ctypes
import inspect
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mnistctl.errors import UsageError
from mnistctl.layers import Rectify

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
_SLICE = 200  # digits: as fast as more (bench/slices.py) in a fraction of the memory
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


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


def devices() -> list[torch.device]:
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


def repeatable() -> None:
    """Ask for algorithms that give the same bits each time, where the device has them."""
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def keep_memory() -> None:
    """Let the process keep what a step frees for the next one, where the C library is glibc.

    Otherwise it gives large blocks back after every use, and the system clears each of their pages anew.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, 2**25)  # the most that glibc takes
        library.mallopt(_M_TRIM_THRESHOLD, 2**29)


def machine() -> dict[str, str | int]:
    """What a run's seconds and last bits depend on: the processor, its cores and vector width, the system."""
    return {
        "processor": _told_by_linux("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def features() -> list[str]:
    """Which of the instructions that matter here the processor has; none where the system is not Linux."""
    told = (_told_by_linux("flags") or _told_by_linux("Features")).split()
    return [name for name in _FEATURES if name in told]


def _told_by_linux(name: str) -> str:
    # Where Python does not look.
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return ""


def precision(name: str, device: torch.device) -> Callable[[], AbstractContextManager[object]]:
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


def prepare(net: nn.Module, device: torch.device) -> nn.Module:
    """The same net on `device`, its weights, keys and gradients unchanged, ready to run fast there."""
    if device.type == "cpu":
        for module in list(net.modules()):
            if isinstance(module, nn.Sequential):
                _rectify(module)
    return net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


_OVERWRITABLE = (nn.Linear, nn.Conv2d, nn.BatchNorm2d)  # their gradients do not need what they gave


def _rectify(stages: nn.Sequential) -> None:
    """Make one module of each relu and the dropout and pool behind it; the weights keep their numbers."""
    children = list(stages)
    for at in range(1, len(children)):
        if type(children[at]) is not nn.ReLU or not isinstance(children[at - 1], _OVERWRITABLE):
            continue
        p, pool, pool_first = 0.0, None, False
        for place in range(at + 1, len(children)):
            child = children[place]
            if type(child) is nn.Dropout and p == 0 and child.p < 1:
                p = child.p
            elif type(child) is nn.MaxPool2d and pool is None and _is_plain(child):
                pool, pool_first = int(child.kernel_size), p == 0  # type: ignore[arg-type]
            else:
                break
            stages[place] = nn.Identity()
        stages[at] = Rectify(p, pool, pool_first)


def _is_plain(pool: nn.MaxPool2d) -> bool:
    return isinstance(pool.kernel_size, int) and repr(pool) == repr(nn.MaxPool2d(pool.kernel_size))


_GUARDED = Optimizer.add_param_group, Optimizer.state_dict, Optimizer.load_state_dict


@contextmanager
def uncompiled() -> Iterator[None]:
    """Let torch make, read and fill optimizers without loading its compiler, which nothing here uses.

    Its guard on these functions, which tells the compiler to leave them alone, loads it for that: a second,
    a third of what it takes to start a short run (`python -X importtime`). It asks this attribute first.
    """
    if "torch._dynamo" in sys.modules:
        yield
        return
    functions = [_unwrapped(guarded) for guarded in _GUARDED]
    for function in functions:
        vars(function)["__dynamo_disable"] = function
    try:
        yield
    finally:
        for function in functions:
            vars(function).pop("__dynamo_disable", None)


@uncompiled()
def optimizer(make: Callable[[Iterable[Tensor]], Optimizer], weights: Iterable[Tensor]) -> Optimizer:
    """What `make` makes for the weights, told to take its step in one kernel where torch has one."""
    made = make(weights)
    for group in made.param_groups:
        if "fused" in group and group.get("momentum") != 0:  # a plain subtraction is one kernel already
            group["fused"] = True
    return made


def step(optimizer: Optimizer) -> None:
    """Take the optimizer's own step, without what torch wraps around it for profilers, hooks and compilers.

    These wrappers take a sixth of a small net's step (bench/speed.py); nothing here hooks into them.
    """
    with torch.no_grad():
        _unwrapped(type(optimizer).step)(optimizer)


@cache
def _unwrapped(wrapped: Callable[..., object]) -> Callable[..., object]:
    function: Callable[..., object] = inspect.unwrap(wrapped)
    return function


def looks_across(net: nn.Module) -> bool:
    """Whether batch norm makes what `net` says of one digit depend on the others in its batch."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in net.modules())


def slice_of(net: nn.Module, batch: int, device: torch.device) -> int:
    """How many digits of a batch to put through `net` at once; the gradients of the slices add up.

    All of them where batch norm looks across the batch, and on devices without a processor's caches.
    """
    convolves = any(isinstance(m, nn.Conv2d) for m in net.modules())
    return min(batch, _SLICE) if device.type == "cpu" and convolves and not looks_across(net) else batch
