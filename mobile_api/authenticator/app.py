"""Serves the phone app's files, all from memory; it has no database, no session and no secret."""

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

from backend.settings import Settings
from mobile_api.authenticator.files import served_files
from mobile_api.authenticator.headers import headers


def create_app(settings: Settings) -> Flask:
    """Make the application.

    Raises:
        SettingsInvalid: a library of the app is not what it must be.
    """
    app = Flask(__name__, static_folder=None)
    files = served_files(settings)
    said = headers(settings)

    @app.get("/", defaults={"path": ""})
    @app.get("/<path:path>")
    def serve_file(path: str) -> Response:
        file = files.get(f"/{path}")
        if file is None:
            raise NotFound
        zipped = file.zipped if request.accept_encodings.quality("gzip") > 0 else None
        response = Response(zipped or file.body, content_type=file.media_type)
        if zipped:
            response.content_encoding = "gzip"
        response.vary.add("Accept-Encoding")
        response.set_etag(f"{file.sha256[:32]}{'-z' if zipped else ''}")
        response.make_conditional(request)
        return response

    @app.after_request
    def say(response: Response) -> Response:
        response.headers.update(said)
        return response

    return app
