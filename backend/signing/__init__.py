"""The life of a transaction: request, pending, approval, authorisation, release, expiry."""
