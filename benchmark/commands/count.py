"""`count`: the MACs of a model by every counter."""

from typing import Any

from benchmark.errors import UserError
from benchmark.plan import discovery

Report = dict[str, Any]


def count_model(name: str, dataset: str, input: str) -> Report:
    from benchmark.pruning.count import every_count

    model = discovery.pick("model", name, discovery.models())
    shape, classes = model.facts["input"], model.facts["classes"]
    if dataset:
        facts = discovery.pick("data set", dataset, discovery.datasets()).facts
        if not facts.get("shape") or not facts.get("classes"):
            raise UserError(f"{dataset}: its shape is only known from its files; use --input 3x224x224")
        shape, classes = facts["shape"], facts["classes"]
    if input:
        try:
            channels, height, width = (int(side) for side in input.split("x"))
        except ValueError:
            raise UserError(f"--input {input}: write 3x224x224") from None
        shape = (channels, height, width)
    try:
        counts = every_count(discovery.load(model)(classes), shape)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"{name} does not run on an input of {'x'.join(map(str, shape))}: {error}") from error
    return {"model": name, "input": "x".join(map(str, shape)), "classes": classes} | counts
