"""What a WSGI server loads for relying parties and signers; the sooner it is back after a crash.

Production: ``gunicorn "backend.wsgi:create_app_from_environment()"``, with threads and without
``--preload`` (a PKCS#11 module does not live through a fork).
"""

from backend.garbage import loading

with loading():
    from backend.app import create_app_from_environment as create_app_from_environment
