"""An authority in production form, with the phone app on an origin of its own.

PostgreSQL and SoftHSM behind ``cellkey sam``, both applications under granian, worker and clerk as
processes. SMS are read from the worker's log, where the gateway of development writes them.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from backend.cli.demo_phone import SMS
from backend.public_keys_file import read_public_keys_file
from backend.sam.client import SamClient
from backend.settings import read_settings
from backend.wiring import make_engine, make_session_factory
from mobile_api.authenticator.app import create_app
from tests.world.authority import Authority
from tests.world.installation import listener, run
from tests.world.production import Servers, new_environment, running_parts
from tests.world.push_service import PushService
from tests.world.sms_inbox import Sms
from tests.world.softhsm import softhsm
from tests.world.wire_tap import WireTap

SERVERS: Final = Servers(processes=1, threads=40)
"""More threads than long polls are held (``mobile_api/services.py``)."""


@contextmanager
def running_production(folder: Path, push: PushService, *, database: str) -> Iterator[Authority]:
    """Run everything on ports that are free; the database is empty."""
    tap, app_server = WireTap(), listener()
    environment = {
        **new_environment(folder, database=database, token=softhsm().new_token()),
        "CELLKEY_APP_URL": f"http://localhost:{app_server.bind_addr[1]}",
        "CELLKEY_PUSH_HOSTS": json.dumps([push.allow_list_entry]),
        "CELLKEY_LONG_POLL_SECONDS": "2",  # whoever stops a server waits for them
    }
    settings = read_settings(environment)
    with ExitStack() as stack:
        stack.enter_context(running_parts(folder, environment, servers=SERVERS, server="granian"))
        engine = make_engine(settings.database)
        stack.callback(engine.dispose)
        app_server.wsgi_app = tap.at(create_app(settings))
        run(stack, app_server.serve, end=app_server.stop)
        yield Authority(
            settings=settings,
            sam=stack.enter_context(closing(SamClient(folder / "sam.sock"))),
            public_keys=read_public_keys_file(settings),
            sessions=make_session_factory(engine),
            arrived=lambda: _texts(folder / "worker.log"),
            tap=tap,
        )


def _texts(log: Path) -> list[Sms]:
    """Those that stand there whole; the end may be in the middle of being written."""
    written = log.read_text("utf-8", errors="replace")
    return [Sms(number, text) for number, text in SMS.findall(written)]
