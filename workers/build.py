"""What is running, as labels of a metric."""

import platform
from importlib.metadata import PackageNotFoundError, version


def build(component: str, *packages: str) -> dict[str, str]:
    """This project's version, Python's, and those of packages that matter to the component. Imports none of them."""
    return {
        "component": component,
        "version": version("scalingcache-serve"),
        "python": platform.python_version(),
        **{package: _installed(package) for package in packages},
    }


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
