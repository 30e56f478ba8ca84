"""Data sets by name, as arrays split three ways, and batches of them on the device."""

from optlab.data.dataset import Dataset as Dataset
from optlab.data.dataset import Split as Split
from optlab.data.dataset import from_arrays as from_arrays
from optlab.data.dataset import load as load
