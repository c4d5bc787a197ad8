"""What travels, and how to ask."""
