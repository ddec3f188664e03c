"""The relying parties' interface: CSC API v2.2 and v1.0.4."""
