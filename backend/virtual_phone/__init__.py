"""A reference phone, written from docs/phone-protocol.md; imports nothing of ours."""
