"""UCI handwritten digits, bundled with scikit-learn: 1797 images of 8 × 8, doubled to 16 × 16.

It needs no download, so it is the default. It is far too small to judge a method: the same seed
differs by points between one thread and two.
"""

import numpy as np

from benchmark import dataset
from benchmark.data.images import Images, Place

TEST = 360


@dataset(shape=(3, 16, 16), classes=10)
def digits(place: Place) -> Images:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    doubled = grey.repeat(2, axis=1).repeat(2, axis=2)
    images = np.repeat(doubled[:, None], 3, axis=1)
    labels = bunch.target.astype(np.int64)
    return Images(
        train=images[:-TEST],
        train_labels=labels[:-TEST],
        test=images[-TEST:],
        test_labels=labels[-TEST:],
        classes=tuple("0123456789"),
        normalise=((0.305,) * 3, (0.376,) * 3),
        decoder="none",
    )
