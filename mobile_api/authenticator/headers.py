"""What a browser is told with each file of the app.

Scripts, styles and pictures come from the app's origin and from nowhere else; the app calls the
authorisation server, the mobile API and the address to wait at, and nothing else. No page may frame
it, no string becomes a script (Trusted Types), and each look asks whether there is a new version.
"""

from collections.abc import Mapping

from backend.settings import Settings
from backend.web_addresses import origin

TWO_YEARS = "max-age=63072000"


def headers(settings: Settings) -> Mapping[str, str]:
    """Headers of every answer."""
    said = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": _policy(settings),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": (
            "camera=(self), publickey-credentials-create=(self), publickey-credentials-get=(self), "
            "geolocation=(), microphone=(), payment=()"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    if settings.app_url.startswith("https:"):
        said["Strict-Transport-Security"] = TWO_YEARS
    return said


def _policy(settings: Settings) -> str:
    addresses = (settings.authorization_server_url, settings.mobile_api_url, settings.wait_url)
    calls = " ".join(dict.fromkeys(origin(address) for address in addresses if address))
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "manifest-src 'self'",
            "worker-src 'self'",
            f"connect-src 'self' {calls}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types cellkey-worker",
        ]
    )
