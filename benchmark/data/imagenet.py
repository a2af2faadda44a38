"""`imagenet`: ILSVRC-2012, from a tree imagenet/train/<class>/… and imagenet/val/<class>/… made small once.

`prunebench data imagenet --prepare` writes its shards (`shards.py`); `folder:imagenet` reads the tree as it is.
"""

from dataclasses import replace

from benchmark import dataset
from benchmark.data.images import Images, Place
from benchmark.data.shards import shards


@dataset(classes=1000)
def imagenet(place: Place) -> Images:
    return shards(replace(place, argument="imagenet"))
