"""How much time previews may take: a share of what steps take, earned before it is spent."""

#: The share.
SHARE = 0.005


class PreviewBudget:
    """Of one model, in seconds, over all of its runs in a process.

    What a preview costs more than it was expected to is a debt, and later steps pay it off, also those of later runs.
    What a run has not spent is gone at its end, or a later one could spend more than its share. After one without a
    preview the next is expected to cost half: what took long once would otherwise never be tried again.
    """

    def __init__(self, expected_seconds: float = 0.005) -> None:
        """expected_seconds: what the first preview is taken to cost."""
        self._expected, self._balance, self._tried = expected_seconds, 0.0, True

    def begin(self) -> None:
        """A run begins."""
        self._balance = min(0.0, self._balance)
        if not self._tried:
            self._expected /= 2
        self._tried = False

    def earn(self, step_seconds: float) -> None:
        """A step took so long, without previews."""
        self._balance += SHARE * step_seconds

    @property
    def allows(self) -> bool:
        """Whether there is enough for a preview."""
        return self._expected <= self._balance

    def spend(self, seconds: float) -> None:
        """A preview took so long, whatever it was: made, encoded and sent."""
        self._tried = True
        self._balance -= seconds
        self._expected = (self._expected + seconds) / 2
