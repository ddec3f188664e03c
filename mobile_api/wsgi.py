"""What a WSGI server loads for phones; the sooner it is back after a crash.

Production: ``gunicorn --config python:mobile_api.wsgi --worker-class gthread --threads 40
"mobile_api.wsgi:create_app_from_environment()"``; more threads than long polls are held. The
configuration, which says nothing, has gunicorn load the modules once for all its processes.
"""

from backend.garbage import loading

with loading():
    from mobile_api.app import create_app_from_environment as create_app_from_environment
