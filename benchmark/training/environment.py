"""How a cell is run: device, threads, mode. Also, what of this goes into the record."""

import hashlib
import os
import platform
import resource
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import psutil
import torch

from benchmark.errors import UserError
from benchmark.training.precision import rounds

Mode = Literal["repeatable", "fast"]
CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
LIBRARIES = ("torch", "torchvision", "timm", "torch-pruning", "numpy", "pillow")


def lacks_memory(error: Exception) -> bool:
    said = str(error).lower()
    words = ("out of memory", "can't allocate memory", "cannot allocate memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(each in said for each in words)


@dataclass(frozen=True)
class Environment:
    device: torch.device
    mode: Mode
    threads: int

    @property
    def device_name(self) -> str:
        return torch.cuda.get_device_name() if self.device.type == "cuda" else _processor()

    @property
    def fingerprint(self) -> str:
        """Equal bits are promised only where fingerprints are equal."""
        parts = [torch.__version__, torch.backends.cpu.get_cpu_capability(), os.environ.get("ONEDNN_MAX_CPU_ISA", "")]
        parts += [_processor(), self.mode, self.device.type]
        parts += (
            [self.device_name, torch.version.cuda or "", _driver()]
            if self.device.type == "cuda"
            else [str(self.threads), *(["bf16 by fp32"] if rounds("cpu") else [])]
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    def versions(self) -> dict[str, str]:
        return {name: version(name) for name in LIBRARIES} | {"isa": torch.backends.cpu.get_cpu_capability()}

    def why_out_of_memory(self, error: Exception) -> str:
        """The message for an error that means too little memory; empty for any other error."""
        if not lacks_memory(error):
            return ""
        if self.device.type == "cuda":
            free, total = torch.cuda.mem_get_info(self.device)
            advice = "let fewer runs share the GPU, or take a larger one"
        else:
            memory = psutil.virtual_memory()
            free, total = memory.available, memory.total
            advice = "let fewer runs share the machine (-j), or take a larger one"
        gib = [f"{each / 2**30:.2f} GiB" for each in (self.peak_memory(), free, total)]
        return f"out of memory at a peak of {gib[0]}, with {gib[1]} of {gib[2]} free; {advice}"

    def forget_peak_memory(self) -> None:
        """The next `peak_memory` counts from here on."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        elif CLEAR.exists():
            CLEAR.write_text("5")

    def peak_memory(self) -> int:
        """In bytes. On a GPU with the memory that a graph keeps; on a CPU the process's largest resident size."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_reserved()
        if STATUS.exists():
            facts = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
            return int(facts["VmHWM"].split()[0]) * 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def prepare(device: str = "auto", mode: Mode = "repeatable", threads: int | None = None) -> Environment:
    """Set up the process, once, before the first tensor."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no CUDA device here; use --device cpu")
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise UserError(f"--device {device}: cpu, cuda or auto")
    if threads:
        torch.set_num_threads(threads)
    repeatable = mode == "repeatable"
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(repeatable)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs time, changes nothing
    torch.backends.cudnn.benchmark = not repeatable  # it chooses kernels by timing
    torch.backends.cudnn.allow_tf32 = False  # fp32 in a recipe is fp32, as it is for matrix products
    return Environment(torch.device(device), mode, torch.get_num_threads())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:  # not Linux
        return platform.processor() or platform.machine()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    return " ".join(f"{facts.get(key, '').strip()}" for key in ("model name\t", "cpu family\t", "model\t\t")).strip()


def _driver() -> str:
    path = Path("/sys/module/nvidia/version")
    return path.read_text().strip() if path.exists() else ""
