"""The fault table: every row a named test. docs/fault-programme.md has the table."""
