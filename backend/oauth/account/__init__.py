"""The signer's own entry, without any relying party."""
