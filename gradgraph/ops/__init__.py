"""The vocabulary: public functions that apply ops to tensors, arrays and numbers.

Each module says in `__all__` which of its functions are public.
"""

from .activation import *
from .conv import *
from .custom import *
from .decision import *
from .elementwise import *
from .exponential import *
from .index import *
from .linalg import *
from .loss import *
from .magnitude import *
from .normalisation import *
from .pool import *
from .reduce import *
from .scan import *
from .shape import *
from .softmax import *
from .statistics import *
from .trigonometry import *

__all__ = sorted(name for name, value in globals().items() if callable(value) and name[0] != "_")
