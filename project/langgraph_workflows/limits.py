"""How much the built-in graph takes on. What is larger is refused with the figure, never cut silently."""

from typing import Final

MAX_ROWS: Final = 1_000_000
"""Of a table. A trend over a million rows takes two to six seconds a column."""

MAX_COLUMNS: Final = 100
"""Of those read. A result carries each column's profile twice and must fit into one Kafka record."""

MAX_FILE_COLUMNS: Final = 10_000
"""Of a file from which `columns` picks some."""

MAX_FILE_BYTES: Final = 64 * 1024 * 1024

MAX_NAME_CHARS: Final = 100
"""Of a column's name."""

LIGHT_CELLS: Final = 1_000
"""Up to so many cells a table is worked on inside the event loop (5 to 10 ms); a larger one in a thread."""

MAX_MAGNITUDE: Final = 1e150
MIN_SPREAD: Final = 1e-150
"""Beyond these the squares of a column's deviations do not fit a float, and its figures would be made up."""
