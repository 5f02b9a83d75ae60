"""What can go wrong between here and the hub, each with what to do about it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from workers.jobs.errors import ScalingCacheError

KEPT = "files that have arrived whole are kept, and the same command goes on after them"


class HubError(ScalingCacheError):
    """A checkpoint cannot be had from the hub, or is not what the hub says it is; the message says what to do."""

    code = "hub_error"


@contextmanager
def explained(repository: str, revision: str | None) -> Iterator[None]:
    """Makes what huggingface_hub raises inside a `HubError` that says what to do."""
    from huggingface_hub import errors

    at = f"{repository} at {revision}" if revision else repository
    try:
        yield
    except errors.GatedRepoError as error:
        raise HubError(
            f"{repository} is gated: accept its licence at https://huggingface.co/{repository}, then set HF_TOKEN to a "
            "token of the same account"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"{repository}: the hub has no such repository, or shows it to its owners alone; look for a typing error "
            "in source, or set HF_TOKEN"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{at}: the repository has no such commit; correct revision, or leave it out") from error
    except errors.OfflineModeIsEnabled as error:
        raise HubError(f"{repository}: HF_HUB_OFFLINE is set, so nothing is fetched; set it to 0") from error
    except errors.EntryNotFoundError as error:
        if isinstance(error, errors.LocalEntryNotFoundError):
            raise HubError(f"{at}: the hub cannot be reached; {KEPT}") from error
        raise HubError(f"{at}: {_first_line(error)}; it is no checkpoint in the diffusers format") from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "an error")
        raise HubError(f"{at}: the hub answered {status}: {_first_line(error)}; {KEPT}") from error
    except errors.HFValidationError as error:
        raise HubError(f"source {repository!r} is no folder, and no hub id either, such as owner/name") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise HubError(f"{at}: the disk is full; make room, or set HF_HOME to another one: {KEPT}") from error
        raise HubError(f"{at}: {_first_line(error)}; {KEPT}") from error
    except Exception as error:
        if not type(error).__module__.startswith("httpx"):  # The hub's library has had two clients of that name.
            raise
        raise HubError(f"{at}: the connection to the hub failed: {_first_line(error)}; {KEPT}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
