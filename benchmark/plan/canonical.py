"""One spelling for each value, and its hash. Ids, journals and random draws are named by it."""

import hashlib
import json
from typing import Any


def canonical(value: Any) -> str:
    """One spelling for each value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]
