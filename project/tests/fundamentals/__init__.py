"""The guide's listings, one by one, as they are printed there. README.md says which is which."""
