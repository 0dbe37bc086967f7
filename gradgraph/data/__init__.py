"""Data: batches, loaders, augmentations, files, and real digits from installed packages."""

from .augment import cropped, flipped, normalised, shifted
from .batches import Pair, batches, split
from .dataset import ArrayDataset, Dataset, Subset
from .digits import digits_8x8, mnist_5k
from .loader import DataLoader
from .readers import ImageFolder, read_idx, read_image, read_npz

__all__ = [
    "ArrayDataset",
    "DataLoader",
    "Dataset",
    "ImageFolder",
    "Pair",
    "Subset",
    "batches",
    "cropped",
    "digits_8x8",
    "flipped",
    "mnist_5k",
    "normalised",
    "read_idx",
    "read_image",
    "read_npz",
    "shifted",
    "split",
]
