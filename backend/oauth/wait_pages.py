"""The waiting page: the phone is asked, and the browser waits for what comes of it.

1. It shows what the phone shows, the ask's own text: who compares them sees whether it is the same.
   It is shown only as KS signed it. Of the signer it shows the clock, and which phones can answer.
2. It lives on by itself: by the script, or by a refresh where scripts do not run.
3. The state for the script says how far the message has come, and when to open the page anew. The
   script looks when ``cellkey wait``, where there is one, says that something changed.
"""

import logging
from datetime import datetime
from math import ceil
from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue

from backend.access.sessions import OpenSession, check_form
from backend.errors import TransactionOver
from backend.oauth import ends
from backend.oauth.authorizations import Held
from backend.oauth.under_way import send_to, under_way
from backend.oauth.uses import OauthUses
from backend.oauth.waiting import REACHED, Answer, look, phones, text_of
from backend.pages.look import page
from backend.pages.words import WORDS, Language, language_of
from backend.signing.again import send_again
from backend.signing.cancellation import cancel as cancel_transaction
from backend.signing.mistrust import stop_from_page
from backend.summary.moments import clock_text, reader
from backend.summary.words import date_text
from backend.web_addresses import origin, wait_address

log = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 3
SAYS: Final = frozenset({"again_sent", "again_silent"})
"""What the page may be told to say once."""


def add_pages(blueprint: Blueprint, uses: OauthUses) -> None:
    """Add what is seen while one authorisation waits."""

    @blueprint.get("/wait/<uuid:authorization>")
    def wait(authorization: UUID) -> ResponseReturnValue:
        held, opened = under_way(uses, authorization)
        if held.signer is None:
            return redirect(url_for("pages.sign_in", authorization=authorization))
        return _wait(uses, held, opened)

    @blueprint.get("/wait/<uuid:authorization>/state")
    def state(authorization: UUID) -> ResponseReturnValue:
        held, _ = under_way(uses, authorization)
        return _state(uses, held)

    @blueprint.post("/wait/<uuid:authorization>/again")
    def again(authorization: UUID) -> ResponseReturnValue:
        held, opened = under_way(uses, authorization)
        check_form(request, opened)
        return _again(uses, held)

    @blueprint.post("/cancel/<uuid:authorization>")
    def cancel(authorization: UUID) -> ResponseReturnValue:
        held, opened = under_way(uses, authorization)
        check_form(request, opened)
        _cancel_transaction(uses, held)
        return ends.decline(uses, held, ends.CANCELLED)

    @blueprint.get("/wait/<uuid:authorization>/not-me")
    def not_me(authorization: UUID) -> ResponseReturnValue:
        held, opened = under_way(uses, authorization)
        return _not_me_page(uses, held, opened)

    @blueprint.post("/wait/<uuid:authorization>/not-me")
    def stop(authorization: UUID) -> ResponseReturnValue:
        held, opened = under_way(uses, authorization)
        check_form(request, opened)
        return _stop(uses, held)


def _wait(uses: OauthUses, held: Held, opened: OpenSession) -> Response:
    if held.transaction is None:  # being asked this moment, by another request
        return _wait_page(uses, held, opened, None)
    found = look(uses.session(), held.transaction, now=uses.clock())
    if found.verdict == "waiting":
        return _wait_page(uses, held, opened, found)
    if found.verdict == "approved":
        return ends.approved_page(uses, held)
    return ends.declined_page(uses, held, ends.over(found.state))


def _wait_page(uses: OauthUses, held: Held, opened: OpenSession, found: Answer | None) -> Response:
    lang = language_of(request, held.request.lang)
    said = request.args.get("said", "")
    shown: dict[str, Any] = {} if found is None else _shown(uses, held, found, lang=lang)
    reached = 0 if found is None else REACHED.index(found.reached)
    return page(
        "oauth/wait.html",
        lang=held.request.lang,
        form_to=origin(held.request.redirect_uri),
        party=held.party.name,
        authorization=held.id,
        csrf_token=opened.csrf_token,
        refresh_seconds=REFRESH_SECONDS,
        said=said if said in SAYS else "",
        steps=REACHED[1 : reached + 1],
        progress=WORDS[lang][f"status_{REACHED[reached]}"],
        **shown,
    )


def _shown(uses: OauthUses, held: Held, found: Answer, *, lang: Language) -> dict[str, Any]:
    """What is known once the signer was asked."""
    now = uses.clock()
    seconds = _seconds(found, now=now)
    able = () if held.transaction is None else phones(uses.session(), held.transaction)
    zone = reader(lang=lang, zone=found.zone)
    return {
        "text": text_of(found, ks=uses.public_keys.ks),
        "number": found.number,
        "wait_at": wait_address(uses.settings.wait_url, found.wait_id),
        "expires_at": found.expires_at,
        "until": clock_text(found.expires_at, zone),
        "seconds": seconds,
        "left": f"{seconds // 60}:{seconds % 60:02}",
        "has_phone": bool(able),
        **_codes(uses, held, now=now),
        "phones": [
            {
                "kind": phone.kind,
                "paired": date_text(phone.paired_at.astimezone(zone.zone).date(), lang),
            }
            for phone in able
        ],
    }


def _codes(uses: OauthUses, held: Held, *, now: datetime) -> dict[str, Any]:
    """Ways to approve without a phone."""
    if held.transaction is None or held.signer is None:
        return {}
    ways = uses.codes.ways_out(uses.session(), held.transaction, held.signer)
    opens_at = ways.sms.opens_at
    left = 0 if opens_at is None else max(0, ceil((opens_at - now).total_seconds()))
    return {"ways": ways, "sms_seconds": left, "sms_left": f"{left // 60}:{left % 60:02}"}


def _state(uses: OauthUses, held: Held) -> Response:
    if held.transaction is None:
        return jsonify(verdict="waiting", reached=0, seconds=0, status="")
    found = look(uses.session(), held.transaction, now=uses.clock())
    lang = language_of(request, held.request.lang)
    return jsonify(
        verdict=found.verdict,
        reached=REACHED.index(found.reached),
        seconds=_seconds(found, now=uses.clock()),
        status=WORDS[lang][f"status_{found.reached}"],
    )


def _seconds(found: Answer, *, now: datetime) -> int:
    return max(int((found.expires_at - now).total_seconds()), 0)


# --- ways out ---------------------------------------------------------------------


def _again(uses: OauthUses, held: Held) -> Response:
    sent = held.transaction is not None and send_again(
        uses.session(), transaction=held.transaction, settings=uses.settings, now=uses.clock()
    )
    said = "again_sent" if sent else "again_silent"
    return send_to("pages.wait", held, said=said)


def _cancel_transaction(uses: OauthUses, held: Held) -> None:
    if held.transaction is None:
        return
    because = "called off on the waiting page"
    try:
        cancel_transaction(
            uses.session(), transaction=held.transaction, because=because, now=uses.clock()
        )
    except TransactionOver as over:
        log.info("called off too late", extra={"state": over.state})


def _not_me_page(uses: OauthUses, held: Held, opened: OpenSession) -> Response:
    if held.signer is None:
        return send_to("pages.sign_in", held)
    return page(
        "oauth/not_me.html",
        lang=held.request.lang,
        form_to=origin(held.request.redirect_uri),
        party=held.party.name,
        authorization=held.id,
        csrf_token=opened.csrf_token,
        has_phone=_has_phone(uses, held),
    )


def _stop(uses: OauthUses, held: Held) -> Response:
    """Call it off; and where a phone can allow it again, the relying party asks no more."""
    _cancel_transaction(uses, held)
    if held.signer is None or held.transaction is None or not _has_phone(uses, held):
        return ends.declined_page(uses, held, ends.CALLED_OFF)
    stop_from_page(uses.session(), signer=held.signer, refused=held.transaction, now=uses.clock())
    return ends.declined_page(uses, held, ends.NOT_ME)


def _has_phone(uses: OauthUses, held: Held) -> bool:
    return held.transaction is not None and bool(phones(uses.session(), held.transaction))
