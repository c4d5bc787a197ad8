"""One file per broker that can be started or used."""
