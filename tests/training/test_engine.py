"""The engine's parts: rates, batches, augmentation, evaluation, counters of chance."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.data.images import Images
from benchmark.errors import UserError
from benchmark.plan.cell import Adam, Cosine, Normalise, Steps, WarmCosine
from benchmark.training.augment import augments, crop4, fastai, flip, randaugment
from benchmark.training.batches import Batches, generator
from benchmark.training.evaluate import evaluate
from benchmark.training.layout import layout
from benchmark.training.meter import Meter
from benchmark.training.optimizers import optimizer_for, set_rates
from benchmark.training.rates import momentum, rate
from tests.conftest import recipe

CPU = torch.device("cpu")


def images(train: int = 60, test: int = 20, side: int = 8) -> Images:
    draw = np.random.default_rng(0)
    return Images(
        train=draw.integers(0, 256, (train, 3, side, side), dtype=np.uint8),
        train_labels=np.arange(train, dtype=np.int64) % 10,
        test=draw.integers(0, 256, (test, 3, side, side), dtype=np.uint8),
        test_labels=np.arange(test, dtype=np.int64) % 10,
        classes=tuple("0123456789"),
        normalise=((0.0,) * 3, (1.0,) * 3),
        decoder="none",
    )


def test_steps_multiply_at_their_epochs() -> None:
    r = recipe(epochs=10, lr=Steps(times=0.2, at=(3, 6)))
    assert [rate(r, e) for e in (0, 2.99, 3, 6, 9)] == pytest.approx([0.1, 0.1, 0.02, 0.004, 0.004])


def test_cosine_ends_at_zero_after_its_warm_up() -> None:
    r = recipe(epochs=10, lr=Cosine(shape="cosine", warm=2.0))
    assert rate(r, 1) == pytest.approx(0.05)
    assert rate(r, 2) == pytest.approx(0.1)
    assert rate(r, 6) == pytest.approx(0.05)
    assert rate(r, 10) == pytest.approx(0)


def test_warm_cosine_peaks_and_moves_momentum_against_itself() -> None:
    r = recipe(epochs=8, lr=WarmCosine(shape="warm_cosine", warm=0.25, start=0.04, end=0.0, momentum=(0.95, 0.85)))
    assert [rate(r, e) for e in (0, 2, 8)] == pytest.approx([0.004, 0.1, 0])
    assert [momentum(r, e) for e in (0, 2, 8)] == pytest.approx([0.95, 0.85, 0.95])
    optimizer = optimizer_for(nn.Linear(2, 2), r)
    assert set_rates(optimizer, r, 2) == pytest.approx(0.1)
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.85)


def test_an_epoch_is_every_image_once_and_the_next_is_another_order() -> None:
    batches = Batches(images(), recipe(batch=10, validation=10, epoch_images=None, augment=()), 0, CPU)
    first, again, second = batches.order(0), batches.order(0), batches.order(1)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert sorted(first.tolist()) == list(range(50))
    assert batches.steps == 5


def test_validation_images_are_the_same_for_every_seed_and_never_trained_on() -> None:
    whole = images()
    parts = [Batches(whole, recipe(batch=10, validation=10, augment=()), seed, CPU) for seed in (0, 1)]
    held = [p.validation[0].numpy() for p in parts]
    assert np.array_equal(*held)
    everything = torch.arange(len(parts[0].train))
    trained = {x.tobytes() for x in parts[0].train[everything].numpy()}
    assert len(trained | {x.tobytes() for x in held[0]}) == 60
    assert not trained & {x.tobytes() for x in held[0]}


def test_a_small_epoch_draws_anew() -> None:
    batches = Batches(images(), recipe(batch=10, validation=0, epoch_images=20, augment=()), 0, CPU)
    assert batches.steps == 2
    assert len({tuple(batches.order(e).tolist()) for e in range(5)}) == 5


def test_a_batch_depends_on_its_counters_alone() -> None:
    one, two = (Batches(images(), recipe(batch=10, validation=0, epoch_images=None), 3, CPU) for _ in range(2))
    one.batch(one.order(0), 0, 0)  # an earlier draw leaves no trace
    a, b = one.batch(one.order(2), 2, 1), two.batch(two.order(2), 2, 1)
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[1], b[1])
    other = two.batch(two.order(2), 2, 2)
    assert not torch.equal(a[0], other[0])


def test_too_small_a_set_is_refused() -> None:
    with pytest.raises(UserError, match="batch of 128 is larger than the 60"):
        Batches(images(), recipe(validation=0), 0, CPU)


def test_a_subset_larger_than_the_set_is_refused() -> None:
    batches = Batches(images(), recipe(batch=10, validation=0), 0, CPU)
    with pytest.raises(UserError, match="61 images was asked for"):
        batches.look(61)


def test_crop_moves_by_at_most_four_and_pads_with_black() -> None:
    picture = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8) + 1
    padded = torch.zeros(16, 16, dtype=torch.uint8)
    padded[4:12, 4:12] = picture[0, 0]
    windows = {padded[t : t + 8, left : left + 8].numpy().tobytes() for t in range(9) for left in range(9)}
    got = crop4(picture.expand(500, 1, 8, 8), generator("crop"))
    found = {x[0].numpy().tobytes() for x in got}
    assert found <= windows
    assert len(found) > 70, "nearly all of the 81 windows come up"


def test_flip_turns_about_half() -> None:
    picture = torch.arange(4.0).view(1, 1, 1, 4).expand(400, 1, 1, 4)
    turned = (flip(picture, generator("flip"))[:, 0, 0, 0] == 3).float().mean().item()
    assert 0.4 < turned < 0.6


def test_fastai_keeps_shape_and_range() -> None:
    out = fastai(torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8), generator("fastai"))
    assert out.shape == (8, 3, 16, 16)
    assert out.min() >= 0
    assert out.max() <= 255
    assert out.std() > 10


def test_an_unknown_augmentation_is_named() -> None:
    with pytest.raises(UserError, match="did you mean crop4"):
        augments(("crop",))


def test_a_network_of_nan_is_not_right() -> None:
    class Nan(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full((len(x), 10), float("nan"))

    batches = Batches(images(), recipe(batch=10, validation=0), 0, CPU)
    assert evaluate(Nan(), batches, batches.test).top1 <= 10


def test_evaluation_counts_by_hand() -> None:
    class Constant(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.eye(10)[3].expand(len(x), 10)

    batches = Batches(images(test=15), recipe(batch=10, validation=0), 0, CPU)  # classes 0-4 twice
    found = evaluate(Constant(), batches, batches.test)
    assert found.top1 == pytest.approx(100 * 2 / 15)
    assert found.mean_class == pytest.approx(10)
    assert found.bits.nonzero().view(-1).tolist() == [3, 13]


def test_a_meter_pauses_the_outer_role() -> None:
    meter = Meter()
    with meter.on("train"):
        with meter.on("evaluate"):
            sum(range(300_000))
        inner = meter.readings()["evaluate"]
    assert inner > 0
    assert meter.readings()["train"] < inner
    assert meter.readings()["evaluate"] == inner


def test_randaugment_changes_pixels_by_its_counters_alone() -> None:
    pictures = torch.randint(0, 256, (2000, 3, 8, 8), dtype=torch.uint8)
    once, again = (randaugment(pictures, generator("rand")) for _ in range(2))
    assert once.dtype == torch.uint8
    assert once.shape == pictures.shape
    assert torch.equal(once, again)
    changed = (once != pictures).flatten(1).any(1).float().mean()
    assert 0.6 < changed < 1, "most images, and not those that drew nothing twice"


def test_norms_and_biases_decay_unless_spared() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    spared = optimizer_for(network, recipe(optimizer=Adam(kind="adamw", lr=0.1, decay=0.5, decay_all=False)))
    decay = {id(p): group["weight_decay"] for group in spared.param_groups for p in group["params"]}
    assert [decay[id(p)] for p in network.parameters()] == [0.5, 0, 0, 0, 0.5, 0]
    usual = optimizer_for(network, recipe(optimizer=Adam(kind="adamw", lr=0.1, decay=0.5)))
    assert [group["weight_decay"] for group in usual.param_groups] == [0.5]


def test_widths_off_the_block_train_in_the_plain_layout_on_a_cpu() -> None:
    even, odd = nn.Conv2d(3, 16, 3), nn.Conv2d(3, 13, 3)
    assert layout(even, recipe(), CPU) == torch.channels_last
    assert layout(odd, recipe(), CPU) == torch.contiguous_format
    assert layout(odd, recipe(), torch.device("cuda")) == torch.channels_last
    assert layout(even, recipe(channels_last=False), CPU) == torch.contiguous_format


def test_a_stretched_schedule_keeps_its_shape() -> None:
    steps = recipe(epochs=300, lr=Steps(times=0.2, at=(90, 180, 240, 270))).stretched(100)
    assert isinstance(steps.lr, Steps)
    assert (steps.epochs, steps.lr.at) == (100, (30, 60, 80, 90))
    short = recipe(epochs=300, lr=Steps(times=0.2, at=(90, 180, 240, 270))).stretched(2)
    assert isinstance(short.lr, Steps)
    assert short.lr.at == (1,), "steps that fall together are one"
    cosine = recipe(epochs=10, lr=Cosine(shape="cosine", warm=2.0)).stretched(20)
    assert [rate(cosine, e) for e in (2, 4, 20)] == pytest.approx([0.05, 0.1, 0])


def test_what_was_added_later_does_not_change_an_id() -> None:
    assert "eps" not in Adam(kind="adam", lr=0.1).model_dump()
    assert Adam(kind="adam", lr=0.1, eps=1e-5).model_dump()["eps"] == 1e-5
    assert Adam.model_validate(Adam(kind="adam", lr=0.1).model_dump()) == Adam(kind="adam", lr=0.1)


def test_a_recipe_may_scale_pixels_otherwise_than_the_data_set() -> None:
    grey = images(8, 8)
    grey.train.fill(51)  # 0.2 of 255
    own = Normalise(mean=(0.2, 0.1, 0.0), std=(0.1, 0.1, 0.1))
    asked = recipe(batch=8, validation=0, epoch_images=None, augment=(), normalise=own)
    scaled, _ = Batches(grey, asked, 0, CPU).look(8)
    assert scaled[0, :, 0, 0].tolist() == pytest.approx([0.0, 1.0, 2.0], abs=1e-5)
    one = asked.model_copy(update={"normalise": Normalise(mean=(0.2,), std=(0.1,))})
    with pytest.raises(UserError, match="normalise has 1 colour channels, the images have 3"):
        Batches(grey, one, 0, CPU)
    with pytest.raises(ValueError, match="a std above 0"):
        recipe(normalise=Normalise(mean=(0.2,), std=(0.0,)))
    assert "normalise" not in recipe().model_dump(), "recipes without it keep the ids of their cells"
