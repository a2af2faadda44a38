"""What type checkers and editors read: the names of `FACE` in __init__.py, which load on first use."""

from benchmark.errors import UserError as UserError
from benchmark.plan.cell import Scope as Scope
from benchmark.plan.discovery import Epochs as Epochs
from benchmark.plan.registry import dataset as dataset
from benchmark.plan.registry import method as method
from benchmark.plan.registry import model as model
from benchmark.pruning.criteria import NORMALISE as NORMALISE
from benchmark.pruning.criteria import Criterion as Criterion
from benchmark.pruning.criteria import scaled_square as scaled_square
from benchmark.pruning.criteria import scores as scores
from benchmark.pruning.criteria import usual as usual
from benchmark.pruning.groups import Group as Group
from benchmark.pruning.masks import hold_zeros as hold_zeros
from benchmark.pruning.masks import prunable as prunable
from benchmark.pruning.masks import zero_lowest as zero_lowest
from benchmark.pruning.targets import NEAR as NEAR
from benchmark.pruning.view import View as View
from benchmark.runs.run import Run as Run
from benchmark.runs.schedules import lowest as lowest
from benchmark.runs.schedules import prune_along as prune_along
from benchmark.training.training import Now as Now

__version__: str
FACE: dict[str, str]
