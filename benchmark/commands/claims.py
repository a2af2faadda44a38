"""`claims`: what papers claim, and what the records say about it."""

from pathlib import Path
from typing import Any

from benchmark.errors import UnknownName
from benchmark.records.store import Store


def list_claims(format: str, out: Path) -> tuple[Any, bool]:
    """What papers claim and what the records under OUT say about it; and whether to print it as JSON."""
    from benchmark.evidence.claim_files import read_claims
    from benchmark.evidence.claims import judge
    from benchmark.evidence.ledger import FORMATS, as_json, as_markdown

    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    claims, wrong = read_claims()
    found = judge(claims, Store(out), unread=len(wrong))
    if format == "json":
        return as_json(found), True
    if format == "html":
        from benchmark.report.site.build import ledger_page

        return ledger_page(found), False
    return as_markdown(found), False
