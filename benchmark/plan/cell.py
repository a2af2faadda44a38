"""A cell: what one run is. Frozen, validated, and named by the hash of everything that was asked.

Device, host, threads and code are *how* it was run; they are in the record, not in the id.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from benchmark.plan.canonical import digest

PROTOCOL = 1  # raise when the same spec means another experiment than before

Share = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(gt=0)]
Amount = Annotated[float, Field(gt=0, lt=1)]
Kind = Literal["weights", "macs", "params", "channels"]
Scope = Literal["local", "global"]  # what is ranked together: each layer (or channel group), or the whole network
CHANNEL_KINDS = ("macs", "params", "channels")  # targets that cuts meet; masks meet `weights`


class Spec(BaseModel):
    """Fields named in LATER were added after the first records. At their default they are not written,
    so cells from before they were added keep their ids."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    LATER: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        for name in self.LATER:
            if getattr(self, name) == type(self).model_fields[name].default:
                del written[name]
        return written


class Sgd(Spec):
    kind: Literal["sgd"] = "sgd"
    lr: Rate
    momentum: Share = 0.9
    nesterov: bool = False
    decay: Annotated[float, Field(ge=0)] = 0.0
    decay_all: bool = True  # False: biases, norms and position embeddings do not decay
    LATER = ("decay_all",)


class Adam(Spec):
    """For adam, `decay` is added to the gradient. For adamw, it is taken from the weights (decoupled)."""

    kind: Literal["adam", "adamw"]
    lr: Rate
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    decay: Annotated[float, Field(ge=0)] = 0.0
    eps: Rate = 1e-8
    decay_all: bool = True  # False: biases, norms and position embeddings do not decay
    LATER = ("eps", "decay_all")


class Steps(Spec):
    """The rate is multiplied by `times` at each epoch of `at`."""

    shape: Literal["steps"] = "steps"
    times: Rate
    at: tuple[Positive, ...]


class Cosine(Spec):
    """Cosine to zero, after `warm` epochs of linear warm-up."""

    shape: Literal["cosine"]
    warm: Annotated[float, Field(ge=0)] = 0.0


class WarmCosine(Spec):
    """The one-cycle learning rate: cosine up over the share `warm`, cosine down over the rest.

    `momentum` (at the ends, at the peak) moves against the rate, as fastai's fit_one_cycle does.
    """

    shape: Literal["warm_cosine"]
    warm: Share = 0.25
    start: Share = 0.04
    end: Share = 1e-5
    momentum: tuple[Share, Share] | None = None


Channels = tuple[Annotated[float, Field(ge=0, le=1)], ...]  # one number per colour channel, of pixels between 0 and 1


class Normalise(Spec):
    mean: Channels
    std: Channels


class Recipe(Spec):
    """How a network is trained: everything that changes the numbers and is no option of the method."""

    epochs: Positive
    batch: Positive  # images per step
    optimizer: Annotated[Sgd | Adam, Field(discriminator="kind")]  # in a file: sgd, adam or adamw = { … }
    lr: Annotated[Steps | Cosine | WarmCosine, Field(discriminator="shape")]  # how the rate moves
    augment: tuple[Literal["crop4", "flip", "fastai", "randaugment", "resized_crop"], ...] = ()
    precision: Literal["fp32", "bf16"] = "fp32"
    validation: Annotated[int, Field(ge=0)] = 0  # training images held out, the same for every seed
    size: Positive | None = None  # pixels per side, if not the data set's own
    epoch_images: Positive | None = None  # training images per epoch, drawn again for each epoch (tier small)
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    test_every: Positive = 10  # epochs between tests; each of the last ten is tested too
    channels_last: bool = True  # the memory layout
    compile: bool = False  # torch.compile: faster steps and other bits; takes a minute or two, and again after each cut
    normalise: Normalise | None = None  # if pixels are not scaled by the data set's own mean and std
    LATER = ("compile", "normalise")

    @model_validator(mode="after")
    def _possible(self) -> "Recipe":
        if self.normalise and (len(self.normalise.mean) != len(self.normalise.std) or 0 in self.normalise.std):
            raise ValueError("normalise: give a mean and a std above 0 for each colour channel")
        if isinstance(self.lr, Steps) and any(at >= self.epochs for at in self.lr.at):
            raise ValueError(f"lr.at {list(self.lr.at)}: a step lies at or beyond the last of {self.epochs} epochs")
        if isinstance(self.lr, Cosine) and self.lr.warm >= self.epochs:
            raise ValueError(f"lr.warm {self.lr.warm:g}: the warm-up fills all of the {self.epochs} epochs")
        if "resized_crop" in self.augment and (self.augment[0] != "resized_crop" or self.size is None):
            raise ValueError("resized_crop comes first in augment, and needs a size")
        if isinstance(self.optimizer, Sgd) and self.optimizer.nesterov and not self.optimizer.momentum:
            raise ValueError("nesterov needs a momentum")
        return self

    def stretched(self, epochs: int) -> "Recipe":
        """The same schedule over another number of epochs. Every point of it is scaled."""
        if epochs == self.epochs:
            return self
        lr, times = self.lr, epochs / self.epochs
        if isinstance(lr, Steps):
            at = [min(max(1, round(place * times)), epochs - 1) for place in lr.at]
            lr = lr.model_copy(update={"at": tuple(dict.fromkeys(place for place in at if place > 0))})
        elif isinstance(lr, Cosine):
            lr = lr.model_copy(update={"warm": lr.warm * times})
        return self.model_copy(update={"epochs": epochs, "lr": lr})


class Method(Spec):
    name: str
    version: Positive = 1
    config: dict[str, JsonValue] = {}


class Remove(Spec):
    """The target and its unit: the share of the dense network's weights, MACs, ... to remove."""

    kind: Kind
    amount: Amount


class Cell(Spec):
    protocol: int = PROTOCOL
    data: str
    model: str
    method: Method
    remove: Remove | None = None
    recipe: Recipe
    seed: Annotated[int, Field(ge=0)]
    gpus: Positive = 1
    parents: dict[str, str] = {}

    @property
    def id(self) -> str:
        return digest(self.asked())

    @property
    def tier(self) -> str:
        return "small" if self.recipe.epoch_images else "full"

    @property
    def name(self) -> str:
        """A name for people; the id is for machines."""
        amount = f" {self.remove.kind} -{100 * self.remove.amount:g}%" if self.remove else ""
        return f"{self.method.name}{amount} {self.model} {self.data} seed {self.seed}"

    def asked(self) -> dict[str, Any]:
        return self.model_dump(mode="json")
