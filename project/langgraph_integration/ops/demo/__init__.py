"""`langgraph-kafka demo`: broker, service and a batch of real analyses, from nothing to answers on screen."""
