"""Login and password as a page got them: looked at less often where too many were wrong (T-21)."""

from flask import request

from backend.access.doorman import network_of
from backend.errors import Unauthenticated, WrongPassword
from backend.oauth.uses import OauthUses
from backend.signers.registration import plain_login
from backend.signers.sign_in import SignedIn, SignIn


def check_password(uses: OauthUses, *, login: str, unverified_password: str) -> SignedIn:
    """Check what was typed. For the doorman a login that nobody has is as wrong as a password.

    Raises:
        Unauthenticated: login or password is wrong, or nothing was checked after too many tries.
        TooManyRequests: too much was wrong from that address; nothing was looked at.
        TooManyTries: too many people sign in now.
        SignerFrozen: they are right, but the signer's access is locked.
    """
    address = request.remote_addr
    name = f"signer {plain_login(login)}"  # no client id has a space
    typed = SignIn(login=login, unverified_password=unverified_password, place=network_of(address))
    with uses.doorman.watching(address, name, now=uses.clock()):
        try:
            return uses.sign_in(uses.session(), typed)
        except WrongPassword as error:
            raise Unauthenticated(str(error)) from error
