"""Pairing steps 1 and 3, and removal: all that changes who is believed, and so needs the SAM."""
