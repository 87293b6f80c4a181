"""What a record says about the machine of a run. This module does not load torch."""

from dataclasses import dataclass

from mnistctl.schema import Schema


@dataclass(frozen=True, kw_only=True)
class MachineInfo(Schema):
    """The machine of a run, as `nn.device.hardware_info` describes it.

    Args:
        processor: name of the processor.
        cores: number of logical processors.
        vectors: the widest vector instructions that torch uses: "AVX512".
        system: the operating system.
        python: version of Python.
        features: the instruction sets of the processor that make a difference, as Linux names them; none if
            they are not known.
        gpu: product name of the NVIDIA GPU that is used; None for other devices.
    """

    processor: str
    cores: int
    vectors: str
    system: str
    python: str
    features: tuple[str, ...] = ()
    gpu: str | None = None
