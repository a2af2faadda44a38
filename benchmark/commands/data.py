"""`data`: is a data set there, and is it the right one?"""

from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.plan import discovery

Report = dict[str, Any]


SHARDED = ("imagenet", "shards")


def look_at_data(name: str, check: bool, prepare: bool, size: int | None, skip: int, data: Path | None) -> Report:
    from benchmark.data.images import Place, data_root

    found = discovery.pick("data set", name, discovery.datasets())
    root = data_root(data)
    if not (check or prepare):
        return {"data set": name, "about": found.about, "looked for in": str(root), "next": "--check or --prepare"}
    kind = name.partition(":")[0]
    stream = kind in SHARDED or (kind == "folder" and size is None)
    if skip and not (prepare and kind in SHARDED):
        raise UserError("--skip-corrupt goes with --prepare of imagenet or shards:NAME, which read every image once")
    place = Place(root, name.partition(":")[2], size, offline=check, stream=stream, prepare=prepare, skip=skip)
    images = discovery.load(found)(place)
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
