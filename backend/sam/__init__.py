"""The signature activation module (EN 419241): holds the HSM session, decides. Start at door.py."""
