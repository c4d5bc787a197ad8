"""The documents are in step with the code: `make docs`."""
