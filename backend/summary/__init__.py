"""What the signer reads: kinds of transactions as declarative data. Pure."""
