"""The phone app: static files on an origin of their own, and what an installation adds to them."""
