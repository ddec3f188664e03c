"""The signature activation module (EN 419241): holds the HSM session and decides. Start at door.py."""
