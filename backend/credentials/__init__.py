"""A signer's credential: key and certificate."""
