"""Pictures of computation graphs, and of the gradient that flowed through them.

>>> import gradgraph as gg
>>> from gradgraph import viz
>>> w = gg.Tensor([1.0, -2.0], requires_grad=True, name="w")
>>> loss = gg.relu(w).sum()
>>> viz.draw(loss)
Drawing(2 ops)
>>> viz.flow(loss).norms[w]
1.0
"""

from .confusion import Confusion, confusion
from .cuboids import Cuboids, cuboids
from .drawing import Drawing, draw
from .engine import EngineError, EngineTimeout
from .flow import Flow, flow
from .history import History
from .maps import Maps, maps
from .memory import Memory, memory
from .raster import RasterError
from .saliency import grad_cam, occlusion, saliency
from .stepping import Playback, playback
from .theme import Thresholds

__all__ = [
    "Confusion",
    "Cuboids",
    "Drawing",
    "EngineError",
    "EngineTimeout",
    "Flow",
    "History",
    "Maps",
    "Memory",
    "Playback",
    "RasterError",
    "Thresholds",
    "confusion",
    "cuboids",
    "draw",
    "flow",
    "grad_cam",
    "maps",
    "memory",
    "occlusion",
    "playback",
    "saliency",
]
