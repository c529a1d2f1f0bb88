"""How a run uses the machine."""

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.errors import ExperimentError

if TYPE_CHECKING:  # torch takes seconds to import; --help and a misspelt name do not need it
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Machine:
    """Threads, processes and precision. Devices and precision change the result a little, the rest does not.

    Every process normalises and compares within its own share of the batch, and bfloat16 rounds.
    """

    threads: int | None = None  # of each process; by default all cores
    workers: int | None = None  # loading processes; by default one on a CPU, as many as cores with a GPU
    devices: int = 1
    nodes: int = 1
    precision: str = "auto"
    quiet: bool = False

    def launch(self) -> "Fabric":
        """Set the threads and start the processes.

        Raises ExperimentError where a launcher started another number of processes, or a device is missing.
        """
        import torch
        from lightning_fabric import Fabric

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it repeats the precision that was asked for
        torch.set_num_threads(self.threads or max(1, (os.cpu_count() or 1) // self.devices))
        processes = self.devices * self.nodes
        launched = int(os.environ.get("WORLD_SIZE", processes))
        if launched != processes:
            raise ExperimentError(f"{launched} processes were launched, but devices x nodes is {processes}")
        try:
            fabric = Fabric(
                accelerator="auto",
                devices=self.devices,
                num_nodes=self.nodes,
                strategy="ddp" if processes > 1 else "auto",
                precision=best_precision() if self.precision == "auto" else self.precision,  # type: ignore[arg-type]
            )
        except (RuntimeError, ValueError) as error:  # more GPUs than the machine has, for example
            raise ExperimentError(f"{self} is not possible on this machine: {error}") from error
        fabric.launch()
        return fabric

    def loader_workers(self, device_type: str) -> int:
        """Number of loading processes."""
        if self.workers is not None:
            return self.workers
        return (os.cpu_count() or 1) if device_type == "cuda" else 1


def best_precision() -> str:
    """bf16-mixed where the hardware multiplies bfloat16 (1.6 times the images/s on a CPU with AVX-512 BF16)."""
    import torch

    return "bf16-mixed" if multiplies_bfloat16("cuda" if torch.cuda.is_available() else "cpu") else "32-true"


def multiplies_bfloat16(device_type: str) -> bool:
    """Whether a device of this type, "cpu" or "cuda", multiplies bfloat16 faster than float32.

    A processor without AVX-512 BF16 emulates it: 20 times slower than float32.
    """
    import torch

    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported())
