"""The contestants' own programs. Each is a process of its own and takes its task as one JSON argument."""
