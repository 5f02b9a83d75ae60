"""What all plain data of a job have in common."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Immutable, and strict: a record that another version wrote is refused, not guessed at.

    No number of it is NaN or infinite: JSON has no word for these, and what was written could not be read again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
