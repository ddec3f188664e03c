"""What a WSGI server loads for phones; the sooner it is back after a crash.

Production: ``gunicorn --worker-class gthread --threads 40
"mobile_api.wsgi:create_app_from_environment()"``; more threads than long polls are held.
"""

from backend.garbage import loading

with loading():
    from mobile_api.app import create_app_from_environment as create_app_from_environment
