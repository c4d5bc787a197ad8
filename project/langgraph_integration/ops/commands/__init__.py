"""The commands of `langgraph-kafka`, one a module; imports wait until one runs, for a quick --help."""
