"""Those whom optlab is measured against, one file each, imported when they run."""

import importlib.metadata
import importlib.util

#: Package to how it is installed.
INSTALL = {
    "optimistix": "pip install 'optlab[bench]'",
    "scipy": "pip install 'optlab[bench]'",
    "torch": "pip install torch",
    "keras": "pip install keras",
}


def missing(package: str) -> str:
    """One line on a peer that is not there.

    Args:
      package: a key of ``INSTALL``.

    Returns:
      That it is left out and how to install it; empty where it is installed.

    >>> missing("scipy")
    ''
    """
    if importlib.util.find_spec(package) is not None:
        return ""
    return f"{package} is not installed and left out: {INSTALL[package]}"


def versions() -> dict[str, str]:
    """The versions of the packages that are not optlab's own.

    Returns:
      Package to version, of those that are installed.
    """
    return {
        package: importlib.metadata.version(package)
        for package in INSTALL
        if importlib.util.find_spec(package) is not None
    }
