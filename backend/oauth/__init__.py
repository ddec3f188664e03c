"""The authorisation server: relying parties' tokens, and the pairing sign-in of phones."""
