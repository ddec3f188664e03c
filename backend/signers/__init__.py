"""Signers: registration data, password, freeze."""
