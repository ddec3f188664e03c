"""The phones' interface. It cannot load SAM or HSM code."""
