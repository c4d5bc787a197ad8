"""Several worker processes under one supervisor, seen from outside as one service."""
