"""The tables, typed, with their allowed moves."""
