"""The rules of the house as tests: sizes, prints, environment reads, public paths."""
