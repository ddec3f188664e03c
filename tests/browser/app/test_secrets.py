"""What must stay in the page stays there: every request and every store are looked through.

The journey is a phone's whole life: it is paired, signs, shows its recovery code, is lost; the next
one is paired by that code and signs. Looked for are the cell's secret, what the passkeys gave by
PRF, the envelope's secret and the recovery code, in every form in which they could be written.
"""

from sqlalchemy import select

from backend.model.tables import Lock
from backend.protocol.encoding import secret_bytes
from tests.world.app_stage import ask
from tests.world.authority import Signer
from tests.world.csc_client import CscClient
from tests.world.fake_camera import FakeCamera
from tests.world.handset import Handset, NewHandset
from tests.world.installation import Installation
from tests.world.paper_phone import secret_in_envelope
from tests.world.secrets_watch import extractable_keys, stored, writings
from tests.world.service import NEW_PASSWORD

FIRST_LOAD_BYTES = 120 * 1024


def cell_secret(signer: Signer) -> bytes:
    """The cell's secret, as who holds the envelope gets it."""
    with signer.authority.sessions() as session:
        query = select(Lock.lock).where(Lock.cell_id == signer.cell, Lock.kind == "envelope")
        lock = session.scalars(query).one()
    return secret_in_envelope(envelope_secret(signer), lock, signer.cell)


def envelope_secret(signer: Signer) -> bytes:
    return secret_bytes(signer.qr2_code)


def sign(handset: Handset, shop: CscClient) -> None:
    """The relying party asks, the signer approves, the relying party collects."""
    asked = ask(shop)
    handset.open_asked(asked.id)
    handset.approve()
    asked.collect()


def test_no_secret_leaves_the_page_in_a_phones_whole_life(
    installation: Installation, new_handset: NewHandset, camera: FakeCamera
) -> None:
    signer = installation.register()
    secrets = {"cell": cell_secret(signer), "envelope": envelope_secret(signer)}
    first, second = new_handset(), new_handset()

    first.pair(signer, camera=camera)
    first.certify(signer)
    shop = installation.relying_party(signer)
    sign(first, shop)
    code = first.save_recovery_code()
    secrets["recovery code"] = secret_bytes(code)
    second.pair_again(signer, signer.replacement(remove_phones=True), camera=camera, code=code)
    sign(second, shop)

    for handset in (first, second):
        assert len(set(handset.prf_outputs)) == 1
        secrets["PRF"] = handset.prf_outputs[0]
        assert handset.watch.leaks(handset.page, **secrets) == []
        assert extractable_keys(handset.page) == []
        passwords = (signer.envelope.first_password, NEW_PASSWORD)
        kept = b"\n".join(each.content for each in stored(handset.page))
        assert not [word for word in passwords for form in writings(word.encode()) if form in kept]
        # The watch is awake: what is sent and kept in the open, it sees.
        assert handset.watch.leaks(login=signer.login.encode())
        assert handset.watch.leaks(handset.page, cell=str(signer.cell).encode())
        assert handset.watch.origins == installation.origins


def test_the_first_load_is_small(new_handset: NewHandset) -> None:
    """Everything that comes over the network until somebody can begin, headers too.

    What the service worker keeps for later comes afterwards, and has mostly come already.
    """
    handset = new_handset()
    sizes: list[float] = []
    handset.cdp.send("Network.enable")
    handset.cdp.on(
        "Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"])
    )
    handset.open()
    handset.at("welcome")
    assert len(sizes) > 5
    assert sum(sizes) <= FIRST_LOAD_BYTES
