"""What the signer reads: kinds of transactions as declarative data. Pure.

``render.py`` makes the text, ``kinds/*.toml`` say what a kind holds and shows, ``characters.py``
what may be shown at all. It runs inside the SAM and imports nothing of ours but the errors.
"""
