"""The machine, the versions and the folders that a run depends on, for records and for bug reports."""

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from mnistctl import __version__
from mnistctl.artifacts import files
from mnistctl.data import datasets, download
from mnistctl.data.mirror import public_address
from mnistctl.errors import MnistctlError, UsageError
from mnistctl.nn.device import (
    autocast_for,
    get_device,
    gpu_name,
    hardware_info,
    list_devices,
)
from mnistctl.schema import Schema
from mnistctl.training.machine import MachineInfo

_REQUIRED = (
    "torch",
    "numpy",
    "scipy",
    "pillow",
    "imageio",
    "matplotlib",
    "safetensors",
    "filelock",
    "msgspec",
    "typer",
    "rich",
)
_OPTIONAL = ("distributed", "tensorboard", "onnx", "onnxscript", "onnxruntime")
_VARIABLES = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")  # environment variables that are not mnistctl's


def machine_info(device: torch.device | None = None) -> MachineInfo:
    """This machine, with this device in use."""
    return MachineInfo.from_json(hardware_info(device))


@dataclass(frozen=True, kw_only=True)
class DeviceReport(Schema):
    """A device: torch's name of it, its product name, and why bf16 is unavailable, if it is."""

    device: str
    name: str | None
    bf16: str | None


@dataclass(frozen=True, kw_only=True)
class DatasetReport(Schema):
    """A data set: its folder, its state, the state of each file, and why they could not be checked.

    `state` is that of the worst file: "missing", "damaged", "other" (an IDX file with another checksum),
    "verified" (by checksum) or "sound" (there is no checksum to compare with).
    """

    folder: str
    state: str
    files: dict[str, str]
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class DataReport(Schema):
    """The data folder, and the data sets by name."""

    folder: str
    datasets: dict[str, DatasetReport]


@dataclass(frozen=True, kw_only=True)
class OutReport(Schema):
    """The folder for results, and the names of the trained models and the unfinished runs in it.

    `writable` is also true if the folder does not exist but can be created.
    """

    folder: str
    exists: bool
    writable: bool
    models: tuple[str, ...]
    unfinished_runs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EnvironmentReport(Schema):
    """What a bug report needs.

    Args:
        versions: version of each package; None if it is not installed.
        platform: the operating system in one line.
        machine: the processor.
        threads: number of processor threads that torch uses.
        devices: the devices, the processor first.
        data: the data folder.
        out: the folder for results.
        environment: the environment variables that mnistctl reads.
    """

    versions: dict[str, str | None]
    platform: str
    machine: MachineInfo
    threads: int
    devices: tuple[DeviceReport, ...]
    data: DataReport
    out: OutReport
    environment: dict[str, str]


def collect_environment(data_dir: Path, out_dir: Path) -> EnvironmentReport:
    """Describe the machine and these folders. Nothing is downloaded, created or changed."""
    versions: dict[str, str | None] = {"mnistctl": __version__, "python": platform.python_version()}
    return EnvironmentReport(
        versions=versions | {name: _version(name) for name in (*_REQUIRED, *_OPTIONAL)},
        platform=platform.platform(),
        machine=machine_info(get_device("auto")),
        threads=torch.get_num_threads(),
        devices=tuple(_describe_device(device) for device in list_devices()),
        data=DataReport(
            folder=str(data_dir),
            datasets={name: _describe_dataset(name, data_dir) for name in datasets.DATASETS},
        ),
        out=OutReport(
            folder=str(out_dir),
            exists=out_dir.is_dir(),
            writable=_can_write(out_dir),
            models=tuple(files.list_runs(out_dir, "safetensors")),
            unfinished_runs=tuple(files.list_runs(out_dir, "unfinished")),
        ),
        environment={
            name: _without_secrets(name, value)
            for name, value in sorted(os.environ.items())
            if name.startswith("MNISTCTL_") or name in _VARIABLES
        },
    )


def _without_secrets(name: str, value: str) -> str:
    """The value of an environment variable; of an address only what may be printed."""
    return " ".join(
        public_address(word) if name == "MNISTCTL_MIRROR" or "://" in word else word for word in value.split()
    )


def _can_write(folder: Path) -> bool:
    """Whether files can be written to `folder`, or the folder can be created where it does not exist."""
    existing = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _describe_device(device: torch.device) -> DeviceReport:
    name = gpu_name(device)
    try:
        autocast_for("bf16", device)
    except UsageError as error:
        return DeviceReport(device=str(device), name=name, bf16=error.message)
    return DeviceReport(device=str(device), name=name, bf16=None)


def _describe_dataset(name: str, data_dir: Path) -> DatasetReport:
    folder = str(datasets.dataset_folder(name, data_dir))
    try:
        states = {status.file: str(status.action) for status in download.check(name, data_dir)}
    except (MnistctlError, OSError) as error:
        return DatasetReport(folder=folder, state="damaged", files={}, error=str(error))
    best = "verified" if all(file.sha256 for file in datasets.get_dataset(name).files) else "sound"
    state = next((bad for bad in ("damaged", "other", "missing") if bad in states.values()), best)
    return DatasetReport(folder=folder, state=state, files=states)


def versions() -> dict[str, str]:
    """The versions that the trials of one journal must share, wherever they run."""
    return {
        "mnistctl": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
