"""Where commands write and what they replace, asked before anything is measured."""

from pathlib import Path
from tempfile import TemporaryFile

from workers.jobs.errors import InvalidRequest
from workers.models.basis import read_measured
from workers.models.entry import Method
from workers.models.evaluation import Evaluation, EvaluationError

#: What reading a file of measurements raises where it is none.
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)


def check_folder(folder: Path, option: str) -> None:
    """Raises `InvalidRequest` where no file can be written in a folder, or the folder not be made."""
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InvalidRequest(option, f"--{option}: no file can be written in {folder}: {error.strerror}") from error


def check_coefficients(path: Path, method: Method) -> None:
    """Raises `InvalidRequest` where coefficients of a method cannot be written, or would replace anything else."""
    _check_file(path)
    if not path.exists():
        return
    try:
        found = read_measured(path).method
    except UNREADABLE as error:
        raise InvalidRequest(
            "output", f"--output: {path} is no coefficient file and would be replaced; name another, or delete it"
        ) from error
    if found != method:
        raise InvalidRequest("output", f"--output: {path} is of the method {found}, not {method}; name another file")


def check_evaluation(path: Path, *, replace: bool = False) -> None:
    """Raises `InvalidRequest` where an evaluation cannot be written, or would replace anything else.

    replace: whether it may all the same, as a damaged one of the catalogue.
    """
    _check_file(path)
    try:
        Evaluation.load(path)
    except FileNotFoundError:
        return
    except EvaluationError as error:
        if replace:
            return
        raise InvalidRequest(
            "output", f"--output: {path} is no evaluation and would be replaced; name another, or delete it"
        ) from error


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InvalidRequest("output", f"--output: {path} is a folder; name a file")
    check_folder(path.parent, "output")
