"""gradgraph: an array that remembers how it was made, two sweeps over that memory, and pictures.

>>> import gradgraph as gg
>>> x = gg.Tensor([1.0, -2.0], requires_grad=True)
>>> gg.relu(x).sum().backward()
>>> x.grad
Tensor([1., 0.])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import ops
from .checkpoint import checkpoint
from .compile import compile
from .debug import debug
from .errors import (
    DomainError,
    DTypeError,
    GradError,
    GradgraphError,
    IndexingError,
    MissingExtraError,
    MutationError,
    NonFiniteError,
    OpDefinitionError,
    ShapeError,
)
from .graph import Graph
from .kernels.settings import backend, precision
from .mode import capture, enable_grad, no_grad, scope
from .op import Op
from .ops import *  # noqa: F403
from .profile import profile
from .scalars import scalars
from .spec import Spec
from .tensor import Tensor, asarray
from .trace import trace as trace  # of a function, or of an array: numpy's
from .transform import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .version import VERSION
from .vmap import vmap

if TYPE_CHECKING:
    from .nn.summary import summary
    from .train import fit
    from .viz import cuboids, draw, playback

__version__ = VERSION

__all__ = [
    "DTypeError",
    "DomainError",
    "GradError",
    "GradgraphError",
    "Graph",
    "IndexingError",
    "MissingExtraError",
    "MutationError",
    "NonFiniteError",
    "Op",
    "OpDefinitionError",
    "ShapeError",
    "Spec",
    "Tensor",
    "asarray",
    "backend",
    "capture",
    "checkpoint",
    "compile",
    "cuboids",
    "debug",
    "draw",
    "enable_grad",
    "fit",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "no_grad",
    "ops",
    "playback",
    "precision",
    "profile",
    "scalars",
    "scope",
    "summary",
    "value_and_grad",
    "vjp",
    "vmap",
    *ops.__all__,
]


del globals()["draw"]  # the module of that name, which ops import: here it is the function

_ABOVE = {"summary": "nn", "fit": "train", "cuboids": "viz", "draw": "viz", "playback": "viz"}


def __getattr__(name: str) -> Any:
    """Names of higher floors, imported when they are first asked for."""
    if name in _ABOVE:
        return getattr(import_module(f"{__name__}.{_ABOVE[name]}"), name)
    if name in ("data", "io", "models", "nn", "optim", "train", "viz"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
