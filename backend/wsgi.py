"""What a WSGI server loads for relying parties and signers; the sooner it is back after a crash.

Production: ``gunicorn --config python:backend.wsgi "backend.wsgi:create_app_from_environment()"``,
with threads. The configuration, which says nothing, has gunicorn load the modules once for all its
processes. Each makes its own application, so never ``--preload``: neither a PKCS#11 module nor a
connection lives through a fork.
"""

from backend.garbage import loading

with loading():
    from backend.app import create_app_from_environment as create_app_from_environment
