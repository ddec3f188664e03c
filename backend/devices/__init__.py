"""Phones: the envelope, pairing, enrolment, removal."""
