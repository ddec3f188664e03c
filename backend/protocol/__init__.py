"""The messages of docs/phone-protocol.md, to the byte. Pure: no database, no HSM."""
