"""The vocabulary: public functions that apply ops to tensors, arrays and numbers.

Each module says in `__all__` which of its functions are public.
"""

from .activation import *
from .arithmetic import *
from .arrange import *
from .attention import *
from .average import *
from .binary import *
from .choice import *
from .cholesky import *
from .classify import *
from .clip import *
from .comparison import *
from .conv import *
from .conv_transpose import *
from .custom import *
from .decision import *
from .einsum import *
from .elementwise import *
from .erf import *
from .exponential import *
from .factor import *
from .gated import *
from .global_pool import *
from .index import *
from .join import *
from .linalg import *
from .loss import *
from .magnitude import *
from .normalisation import *
from .pad import *
from .pool import *
from .put import *
from .random import *
from .reduce import *
from .resize import *
from .rounding import *
from .scan import *
from .select import *
from .shape import *
from .similarity import *
from .softmax import *
from .softplus import *
from .sort import *
from .statistics import *
from .trigonometry import *
from .unfold import *

__all__ = sorted(name for name, value in globals().items() if callable(value) and name[0] != "_")
