"""`audit`: evaluates the networks that authors released, and sets what they print beside it."""

import sys
from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.evidence.released import Network, Source, settings, sources
from benchmark.records.audit import all_audits, write_audit
from benchmark.report.audit import as_csv, as_markdown

FORMATS = {"md": as_markdown, "csv": as_csv}


def audit_table(names: list[str], out: Path, format: str) -> str:
    """The table of what is evaluated already."""
    return FORMATS[format](settings(out, names))


def evaluate_released(
    names: list[str], folder: Path, out: Path, images: Path | None, device: str, threads: int | None
) -> dict[str, Any]:
    """Evaluate every listed network that lies in the folder and has no audit yet. Returns the counts."""
    from benchmark.audit.evaluate import Question, audit
    from benchmark.audit.files import sha256_of
    from benchmark.data.images import data_root
    from benchmark.training.environment import prepare

    if not folder.is_dir():
        raise UserError(f"--from {folder}: no such folder")
    environment = prepare(device, threads=threads)
    done = {found.asked.id for _, found in all_audits(out)}
    missing, other, failed, count = [], [], [], 0
    for source, network in ((s, n) for s in sources(names).values() for n in s.network):
        if source.asked(network).id in done:
            continue
        path = _find(folder, source, network)
        if path is None:
            missing.append(f"{source.repository}: {network.path}")
        elif sha256_of(path) != network.sha256:
            other.append(str(path))
        else:
            question = Question(
                path, network.model, source.data, source.normalise, network.key, network.names, network.without,
                source.pixel_mean,
            )  # fmt: skip
            try:
                found = audit(question, environment, data_root(images))
            except UserError as error:
                failed.append(str(error))
                continue
            write_audit(out, found)
            count += 1
            print(f"{found.judged.top1:6.2f} %  {source.paper}, {network.path}", file=sys.stderr, flush=True)
    return {"evaluated": count, "missing": missing, "another file than the one listed": other, "failed": failed}


def _find(folder: Path, source: Source, network: Network) -> Path | None:
    return next((path for each in source.paths(network) if (path := folder / each).is_file()), None)
