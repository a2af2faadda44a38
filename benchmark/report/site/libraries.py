"""DataTables and Plotly as scripts that a page opened from disk can load: no module, no network.

Both come from the installed packages (itables has DataTables as one bundle, plotly has its own), so
their versions are pinned with everything else and this repository holds no copy of them.
"""

import re
from importlib.resources import files

from benchmark.errors import UserError


def datatables_js() -> str:
    """A browser refuses modules from disk, so the exports of the bundle become `window.tables`."""
    bundle = files("itables").joinpath("html/dt_bundle.js").read_text(encoding="utf-8")
    exports = re.findall(r"export\s*\{([^{}]*)\}\s*;?", bundle)
    if len(exports) != 1:
        raise UserError("itables: its bundle of DataTables is not of the shape this version knows")
    names = [pair.split(" as ") for pair in exports[0].split(",")]
    inner = {outer.strip(): own.strip() for own, outer in names}
    body = re.sub(r"export\s*\{[^{}]*\}\s*;?", f";window.DataTable={inner['default']};", bundle)
    return f"(()=>{{{body}\n}})();\n"


def datatables_css() -> str:
    return files("itables").joinpath("html/dt_bundle.css").read_text(encoding="utf-8")


def plotly_js() -> str:
    return files("plotly").joinpath("package_data/plotly.min.js").read_text(encoding="utf-8")
