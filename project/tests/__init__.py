"""Every test of the project. Newcomers start in fundamentals/, helpers live in support/."""
