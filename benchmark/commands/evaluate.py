"""`evaluate`: a network of somebody else's, counted and evaluated; nothing in its file is run."""

import json
import tomllib
from pathlib import Path
from typing import Any

from benchmark.audit.evaluate import Question, at_chance, audit
from benchmark.data.images import data_root
from benchmark.errors import UserError
from benchmark.plan.cell import Normalise
from benchmark.records.audit import Audit, write_audit
from benchmark.training.environment import prepare

Report = dict[str, Any]


def evaluate_file(
    file: Path,
    model: str,
    data: str,
    *,
    normalise: str,
    key: str,
    map: Path | None,
    without: str,
    pixel_mean: bool,
    latency: bool,
    device: str,
    threads: int | None,
    out: Path | None,
    images: Path | None,
) -> Report:
    if normalise and pixel_mean:
        raise UserError("--normalise and --pixel-mean exclude each other")
    blocks = tuple(filter(None, without.split(",")))
    how = _normalise(normalise)
    question = Question(file, model, data, how, key, _names(map), blocks, pixel_mean, latency)
    found = audit(question, prepare(device, threads=threads), data_root(images))
    report = as_report(found)
    if out:
        report["record"] = str(write_audit(out, found))
    return report


def as_report(found: Audit) -> Report:
    counted, judged = found.counted, found.judged
    report: Report = {
        "file": f"{found.matching.kind}{' at ' + found.matching.place if found.matching.place else ''}",
        "matched": found.matching.how,
        "not used": ", ".join(found.matching.unused) or "nothing",
        "top-1": f"{judged.top1:.2f} %",
        **({"top-5": f"{judged.top5:.2f} %"} if judged.top5 is not None else {}),
        "mean over classes": f"{judged.mean_class:.2f} %",
        "loss": f"{judged.loss:.4f}",
        "test images": judged.n,
        "MACs": f"{counted.macs:,} of {counted.macs_dense:,}",
        "MACs of nonzeros": f"{counted.macs_nonzero:,}",
        "FLOPs removed": f"{100 * counted.flops_removed:.2f} %",
        "MACs by Torch-Pruning, by thop": f"{counted.macs_tp:,}, {counted.macs_thop:,}",
        "parameters": f"{counted.params:,} of {counted.params_dense:,}, {counted.nonzero:,} not zero",
    }
    for name, (median, spread) in (counted.latency or {}).items():
        report[f"latency, batch {name}"] = f"{median:.2f} ± {spread:.2f} ms"
    if found.noted:
        report["noted in the file"] = json.dumps(found.noted)
    if warning := at_chance(found):
        report["warning"] = warning
    return report


def _normalise(text: str) -> Normalise | None:
    """`0.4914,0.4822,0.4465/0.2470,0.2435,0.2616`: means, then deviations."""
    if not text:
        return None
    try:
        mean, std = (tuple(float(number) for number in part.split(",")) for part in text.split("/"))
        if len(mean) != len(std) or 0 in std:
            raise ValueError
        return Normalise(mean=mean, std=std)
    except ValueError:
        raise UserError(f"--normalise {text}: write means/deviations, such as 0.49,0.48,0.45/0.25,0.24,0.26") from None


def _names(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        names = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"--map {path}: {error}") from None
    if not all(isinstance(value, str) for value in names.values()):
        raise UserError(f'--map {path}: write one line for each layer, such as "blocks.0.conv1" = "layer1.0.conv_a"')
    return names
