"""Data sets by name or from arrays, split three ways, and augmentations of batches."""

from optlab.data.dataset import Dataset as Dataset
from optlab.data.dataset import Split as Split
from optlab.data.dataset import from_arrays as from_arrays
from optlab.data.enlarged import enlarge as enlarge
from optlab.data.loading import load as load
