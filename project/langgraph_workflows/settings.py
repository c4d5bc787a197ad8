"""The only reader of environment variables in this package."""

import os
from pathlib import Path
from typing import Final

DATA_DIR_VARIABLE: Final = "WORKFLOW_DATA_DIR"


def data_directory() -> Path | None:
    """The folder below which files may be read (`WORKFLOW_DATA_DIR`). `None`: unset, so files are refused."""
    value = os.environ.get(DATA_DIR_VARIABLE, "").strip()
    return Path(value) if value else None
