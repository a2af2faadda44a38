"""`show`: lists what there is, or shows one thing or this machine."""

import sys
from pathlib import Path
from typing import Any

from benchmark.errors import UnknownName, UserError
from benchmark.plan import discovery
from benchmark.plan.suite_file import SUITES, known, read

TEMPLATE = discovery.HERE / "commands" / "method_template.py.txt"
Report = dict[str, Any]


def show_things(what: str, methods_from: tuple[Path, ...]) -> Any:
    lists = {"methods": discovery.methods(methods_from), "models": discovery.models(), "datasets": discovery.datasets()}
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
        return "\n".join(f"# ---- {path.relative_to(discovery.ROOT)}\n\n{path.read_text()}" for path in paths)
    if paths:
        return paths[0].read_text()
    everything = [*lists, "suites", "env", "method-template", *known(), *(n for found in lists.values() for n in found)]
    raise UnknownName("thing", what, set(everything))


def _environment() -> Report:
    from benchmark.training.environment import prepare

    env = prepare()
    report: Report = {"python": sys.version.split()[0], "device": env.device_name, "threads": env.threads}
    return report | {"fingerprint": env.fingerprint} | env.versions()
