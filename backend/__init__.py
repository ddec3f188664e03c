"""Cellkey: the signing key stays in an HSM cell, the signer's phone opens it."""
