"""The learning rate as a function of the place in the schedule, in epochs (fractions allowed)."""

import math

from benchmark.plan.cell import Cosine, Recipe, Steps, WarmCosine


def rate(recipe: Recipe, epoch: float) -> float:
    """Steps change between epochs; the cosines change with every step."""
    lr, peak = recipe.lr, recipe.optimizer.lr
    match lr:
        case Steps():
            return peak * lr.times ** sum(epoch >= at for at in lr.at)
        case Cosine():
            if epoch < lr.warm:
                return peak * (epoch + 1e-8) / lr.warm
            return peak * _cosine(1, 0, (epoch - lr.warm) / (recipe.epochs - lr.warm))
        case WarmCosine():
            done = epoch / recipe.epochs
            if done < lr.warm:
                return peak * _cosine(lr.start, 1, done / lr.warm)
            return peak * _cosine(1, lr.end, (done - lr.warm) / (1 - lr.warm))


def momentum(recipe: Recipe, epoch: float) -> float | None:
    """The momentum, if the recipe moves it against the rate; None if it is constant."""
    lr = recipe.lr
    if not isinstance(lr, WarmCosine) or lr.momentum is None:
        return None
    ends, peak = lr.momentum
    done = epoch / recipe.epochs
    if done < lr.warm:
        return _cosine(ends, peak, done / lr.warm)
    return _cosine(peak, ends, (done - lr.warm) / (1 - lr.warm))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
