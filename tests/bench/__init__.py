"""The benchmark: whole flows against the production form, on one machine with everything on it."""
