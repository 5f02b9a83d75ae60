"""The ids of the messages that jobs have ended."""

import re
import secrets

_ID = re.compile(r"msg_(?P<model>[a-z0-9][a-z0-9.\-]*)_[0-9a-f]{32}")


def new_message_id(model: str) -> str:
    """A random 128-bit id that carries its model, as those of jobs do."""
    return f"msg_{model}_{secrets.token_hex(16)}"


def model_of_message(message_id: str) -> str | None:
    """The model in a message's id, or None when the id cannot be one of ours."""
    match = _ID.fullmatch(message_id)
    return match["model"] if match else None
