"""What stands in the metrics where something could not be measured."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Skipped:
    """A measurement that was not made."""

    reason: str

    def as_plain(self) -> dict[str, Any]:
        """The section of a metrics file."""
        return {"skipped": self.reason}
