"""What `cellkey demo` says, in both languages; the words stand in ``demo_words.toml``."""

import tomllib
from importlib.resources import files
from typing import final

import msgspec

from backend.summary.words import Words


class _Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the story."""


@final
class Steps(_Words, frozen=True, kw_only=True):
    """Titles of the steps, in their order."""

    installation: Words
    push_service: Words
    service: Words
    relying_party: Words
    envelope: Words
    pairing: Words
    first_approval: Words
    request: Words
    release: Words
    judge: Words


@final
class Cast(_Words, frozen=True, kw_only=True):
    """Who plays, and what is paid."""

    relying_party: Words
    operator: Words
    family: Words
    given: Words
    patronymic: Words
    payee: Words
    purpose: Words
    document: Words


@final
class Labels(_Words, frozen=True, kw_only=True):
    """Names of facts."""

    address: Words
    app_address: Words
    client_id: Words
    folder: Words
    logs: Words
    pdf: Words
    process: Words
    root: Words
    secret_file: Words
    sha256: Words


@final
class Screens(_Words, frozen=True, kw_only=True):
    """Titles of frames, and what the phone shows beside the service's own texts."""

    phone: Words
    sms: Words
    notification: Words
    judge: Words
    twelve: Words
    paired: Words
    recovery: Words


@final
class DemoWords(_Words, frozen=True, kw_only=True):
    """The whole story."""

    title: Words
    nothing_acted: Words
    other_language: Words
    seconds: Words
    steps: Steps
    cast: Cast
    labels: Labels
    screens: Screens

    installing: Words
    installed: Words
    push_stands_for: Words
    push_ready: Words
    starting: Words
    served: Words
    added: Words
    registering: Words
    envelope_handed: Words
    proving: Words
    password_changed: Words
    code_came: Words
    same_characters: Words
    confirming: Words
    asked_first: Words
    approved: Words
    passkey: Words
    issuing: Words
    issued: Words
    subscribed: Words
    asking: Words
    blocked: Words
    encrypted: Words
    decrypted: Words
    releasing: Words
    released: Words
    redeemed: Words
    judging: Words
    judge_trusts: Words
    valid: Words

    took: Words
    keeps_running: Words
    start_again: Words
    start_later: Words
    then_ask: Words
    then_answer: Words


def demo_words() -> DemoWords:
    """Read the words."""
    text = files("backend.cli").joinpath("demo_words.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), DemoWords)
