"""`show`, `count`, `data`, `verify`: looking at what there is."""

import sys
from pathlib import Path
from typing import Any

from benchmark import find
from benchmark.errors import UnknownName, UserError
from benchmark.store import Store
from benchmark.suite_file import SUITES, known, read

TEMPLATE = find.HERE / "method_template.py.txt"
SHARDED = ("imagenet", "shards")
Report = dict[str, Any]


def verify_record(id: str, device: str, threads: int | None, out: Path, data: Path | None) -> tuple[Report, bool]:
    from benchmark.data.images import data_root
    from benchmark.engine.environment import prepare
    from benchmark.verify import ELSEWHERE, find_record, verify

    store = Store(out)
    stored = find_record(store, id)
    environment = prepare(device, "repeatable", threads or stored.record.how.threads)
    checks = verify(stored, store, environment, data_root(data))
    report: Report = {"record": str(stored.path), "cell": stored.record.cell.name}
    for check in checks:
        found = "" if check.found == check.recorded else f", found {check.found}"
        report[check.what] = f"{'ok' if check.ok else 'DIFFERS'}  {check.recorded}{found}"
    ok = all(check.ok for check in checks)
    if environment.fingerprint not in stored.record.how.fingerprint:
        share = f"{100 * ELSEWHERE:g} %"
        report["note"] = (
            f"this machine or its thread count is not the record's: it may judge {share} of the images otherwise"
        )
    return report, ok


def count_model(name: str, dataset: str, input: str) -> Report:
    from benchmark.network.count import every_count

    model = find.pick("model", name, find.models())
    shape, classes = model.facts["input"], model.facts["classes"]
    if dataset:
        facts = find.pick("data set", dataset, find.datasets()).facts
        if not facts.get("shape") or not facts.get("classes"):
            raise UserError(f"{dataset}: its shape is only known from its files; use --input 3x224x224")
        shape, classes = facts["shape"], facts["classes"]
    if input:
        try:
            channels, height, width = (int(side) for side in input.split("x"))
        except ValueError:
            raise UserError(f"--input {input}: write 3x224x224") from None
        shape = (channels, height, width)
    try:
        counts = every_count(find.load(model)(classes), shape)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"{name} does not run on an input of {'x'.join(map(str, shape))}: {error}") from error
    return {"model": name, "input": "x".join(map(str, shape)), "classes": classes} | counts


def look_at_data(name: str, check: bool, prepare: bool, size: int | None, skip: int, data: Path | None) -> Report:
    from benchmark.data.images import Place, data_root

    found = find.pick("data set", name, find.datasets())
    root = data_root(data)
    if not (check or prepare):
        return {"data set": name, "about": found.about, "looked for in": str(root), "next": "--check or --prepare"}
    kind = name.partition(":")[0]
    stream = kind in SHARDED or (kind == "folder" and size is None)
    if skip and not (prepare and kind in SHARDED):
        raise UserError("--skip-corrupt goes with --prepare of imagenet or shards:NAME, which read every image once")
    place = Place(root, name.partition(":")[2], size, offline=check, stream=stream, prepare=prepare, skip=skip)
    images = find.load(found)(place)
    of = "any size" if stream else "x".join(map(str, images.train.shape[1:]))
    return {
        "data set": name,
        "training images": f"{len(images.train)} of {of}",
        "test images": len(images.test),
        **({"left out, not decodable": _some(images.left_out)} if images.left_out else {}),
        "classes": len(images.classes),
        "decoder": images.decoder,
        "hash of the pixels": images.hash,
    }


def _some(names: tuple[str, ...]) -> str:
    return f"{len(names)}: {', '.join(names[:3])}{' …' if names[3:] else ''}"


def show_things(what: str, methods_from: tuple[Path, ...]) -> Any:
    lists = {"methods": find.methods(methods_from), "models": find.models(), "datasets": find.datasets()}
    if what in lists:
        return [{"name": name, "about": found.about} for name, found in lists[what].items()]
    if what == "suites":
        if not known():
            raise UserError(f"no suite in {SUITES}: this installation is not complete")
        return [{"name": name, "about": read(name).file.about} for name in known()]
    if what == "method-template":
        return TEMPLATE.read_text()
    if what == "env":
        return _environment()
    paths = [found[what].path for found in lists.values() if what in found]
    paths += [known()[what]] if what in known() else []
    if len(paths) > 1:  # cifar10 is a data set and a suite
        return "\n".join(f"# ---- {path.relative_to(find.ROOT)}\n\n{path.read_text()}" for path in paths)
    if paths:
        return paths[0].read_text()
    everything = [*lists, "suites", "env", "method-template", *known(), *(n for found in lists.values() for n in found)]
    raise UnknownName("thing", what, everything)


def _environment() -> Report:
    from benchmark.engine.environment import prepare

    env = prepare()
    report: Report = {"python": sys.version.split()[0], "device": env.device_name, "threads": env.threads}
    return report | {"fingerprint": env.fingerprint} | env.versions()
