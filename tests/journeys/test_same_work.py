"""Whether a login exists is not told by what it costs either: T-17 in counts, not in time (T-16).

What differs is what must: a try of a signer who exists is counted in their row before the password
is checked, which is a statement and a commit (docs/threat-model.md, a limit of T-17).
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import pytest
from sqlalchemy import update
from werkzeug.test import TestResponse

from backend.devices.envelope import Envelope
from backend.model.tables import Signer
from backend.signers import password
from backend.signers.freeze import freeze
from backend.wiring import db
from tests.journeys.conftest import Stage
from tests.world.browser import Browser
from tests.world.oauth_client import OauthClient, an_oauth_client
from tests.world.service import ANNA, Service, copy_service
from tests.world.statements import counted

SIGN_IN: Final = "sign-in"
FORGOTTEN: Final = "/account/forgotten-password"
PAGES: Final = {
    SIGN_IN: 1,
    "/account/password": 1,
    "/account/lost-phone": 1,
    "/account/codes": 1,
    "/account/certificate": 1,
    "/account/first-password": 2,
}
"""How often Argon2 runs where login or password is wrong: there for the old and the new one."""
NOBODY: Final = "no.body77"
KNOWN: Final = ("a.ivanova", "f.rozen77", "n.phone77", "e.nvelop7", "p.aused77")
"""A phone is paired; access is locked; no phone yet; nothing but the envelope; tries are paused."""


@dataclass(frozen=True)
class Answer:
    """What somebody sees, without what is drawn anew each time; and what it cost."""

    status: int
    headers: list[tuple[str, str]]
    body: str
    argon2: list[dict[str, Any]]
    statements: int
    commits: int

    @property
    def seen(self) -> tuple[object, ...]:
        """What is the same for every login; the work of Argon2 too."""
        return self.status, self.headers, self.body, self.argon2


@pytest.fixture(scope="module")
def crowd(certified: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OauthClient]:
    """A service with a signer of each sort."""
    opened = copy_service(certified.folder, tmp_path_factory.mktemp("crowd"))
    for place, login in enumerate(KNOWN[1:]):
        envelope = opened.register(
            msgspec.structs.replace(ANNA, login=login, number=f"+7916123457{place}")
        )
        if login != "e.nvelop7":
            own_password(opened, envelope)
    with opened.sessions() as session:
        freeze(session, signer=opened.signer("f.rozen77"), by="test", now=opened.clock())
    yield an_oauth_client(opened)
    opened.close()


def own_password(service: Service, envelope: Envelope) -> None:
    """The signer begins to pair a phone, and goes no further."""
    service.phone(envelope.login).pair_start(service.applicant(envelope), kind="virtual")


@pytest.fixture(autouse=True)
def tries(crowd: OauthClient) -> None:
    """Nobody has any left over; one has so many that nothing of theirs is checked now."""
    with crowd.service.sessions() as session:
        session.execute(update(Signer).values(password_tries=0))
        session.execute(
            update(Signer)
            .where(Signer.login == "p.aused77")
            .values(password_tries=15, password_tried_at=crowd.service.clock())
        )
        session.commit()


@pytest.fixture
def argon2(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Each run of Argon2: what it would cost. No password is right here, so none is computed."""
    runs: list[dict[str, Any]] = []

    def run(secret: bytes, salt: bytes, **cost: Any) -> bytes:  # noqa: ANN401  # of hash_secret_raw
        runs.append(cost | {"secret": len(secret), "salt": len(salt)})
        return hashlib.sha256(salt + secret).digest()

    monkeypatch.setattr(password, "hash_secret_raw", run)
    return runs


def sent(shop: OauthClient, argon2: list[dict[str, Any]], page: str, login: str) -> Answer:
    """What the form gives for a login and a wrong password, in a browser where nobody was."""
    service, browser = shop.service, Browser(shop.service)
    address = shop.address(shop.session(), state="s")[0] if page == SIGN_IN else page
    shown = browser.open(address)
    form = shown.page.form(0)
    typed = form.fields | {"login": login, "password": "wrong", "new_password": "9 red fences"}
    argon2.clear()
    with service.app.app_context():
        engine = db.engine
    with counted(engine) as cost:
        answer = browser.fetch(form.action or shown.address, **typed, do="sms")
    return Answer(
        status=answer.status_code,
        headers=_plain(answer),
        body=_without_what_is_drawn(answer.get_data(as_text=True), login),
        argon2=list(argon2),
        statements=len(cost.texts),
        commits=cost.commits,
    )


def _plain(answer: TestResponse) -> list[tuple[str, str]]:
    """Headers, without the values of cookies and the request's id."""
    drawn = {"Set-Cookie": r"(?<==)[^;]{16,}", "X-Request-Id": r"\A[0-9a-f]{32}\Z"}
    return [
        (name, re.sub(drawn[name], "...", value, count=1) if name in drawn else value)
        for name, value in answer.headers.items()
    ]


def _without_what_is_drawn(body: str, login: str) -> str:
    without = body.replace(login, "LOGIN")
    without = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "AUTHORIZATION", without)
    return re.sub(r'(name="csrf_token"\s+value=)"[^"]+"', r'\1"..."', without)


@pytest.mark.parametrize("page", PAGES)
def test_t_17_a_wrong_password_costs_the_same_argon2_for_any_login(
    crowd: OauthClient, argon2: list[dict[str, Any]], page: str
) -> None:
    """And the answer is the same; a known one costs a statement and a commit more at most."""
    nobody = sent(crowd, argon2, page, NOBODY)

    assert nobody.status == 403
    assert len(nobody.argon2) == PAGES[page]
    for login in KNOWN:
        known = sent(crowd, argon2, page, login)
        assert known.seen == nobody.seen, login
        assert 0 <= known.statements - nobody.statements <= 1, login
        assert 0 <= known.commits - nobody.commits <= 1, login


def test_t_17_a_forgotten_password_costs_the_same_for_any_login(
    crowd: OauthClient, argon2: list[dict[str, Any]]
) -> None:
    """To the last statement, and Argon2 never."""
    nobody = sent(crowd, argon2, FORGOTTEN, NOBODY)

    assert (nobody.status, nobody.argon2) == (303, [])
    for login in KNOWN:
        assert sent(crowd, argon2, FORGOTTEN, login) == nobody, login
