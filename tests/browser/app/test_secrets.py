"""What must stay in the page stays there: every request and every store are looked through.

The journey is a phone's whole life: it is paired, signs, shows its recovery code, is lost; the next
one is paired by that code and signs. Looked for are the cell's secret, what the passkeys gave by
PRF, the envelope's secret and the recovery code, in every form in which they could be written.
"""

from sqlalchemy import select

from backend.devices.replacement import Replacement, ReplacementOrder, print_replacement
from backend.model.tables import Lock
from backend.protocol.encoding import secret_bytes
from backend.wiring import utc_now
from tests.world.app_stage import ask
from tests.world.fake_camera import FakeCamera
from tests.world.handset import Handset, NewHandset
from tests.world.installation import Installation, Signer
from tests.world.paper_phone import secret_in_envelope
from tests.world.secrets_watch import extractable_keys, stored, writings
from tests.world.service import NEW_PASSWORD, PRINTER

FIRST_LOAD_BYTES = 120 * 1024


def cell_secret(signer: Signer) -> bytes:
    """The cell's secret, as who holds the envelope gets it."""
    with signer.installation.service.sessions() as session:
        query = select(Lock.lock).where(Lock.cell_id == signer.cell, Lock.kind == "envelope")
        lock = session.scalars(query).one()
    return secret_in_envelope(envelope_secret(signer), lock, signer.cell)


def envelope_secret(signer: Signer) -> bytes:
    return secret_bytes(signer.envelope.qr2.partition("s=")[2])


def replacement(signer: Signer) -> Replacement:
    """An operator prints an envelope for the cell, after the phone was lost."""
    service = signer.installation.service
    order = ReplacementOrder(
        login=signer.login, operator=PRINTER, remove_phones=True, reset_password=False
    )
    with service.sessions() as session:
        return print_replacement(
            session,
            service.sam,
            order,
            settings=service.settings,
            public_keys=service.public_keys,
            now=utc_now(),
        )


def read_recovery_code(handset: Handset) -> str:
    """Have the code shown, and prove that it was written down."""
    handset.open("/#/settings")
    handset.tap("to-recovery")
    handset.tap("recovery-show")
    groups = handset.read("recovery-code").split()
    handset.tap("recovery-written")
    handset.at("recovery-check")
    for field in handset.page.locator("input[data-place]").all():
        field.fill(groups[int(field.get_attribute("data-place") or 0) - 1])
    handset.tap("recovery-check")
    handset.at("done-saved")
    return "".join(groups)


def sign(handset: Handset, signer: Signer) -> None:
    """The relying party asks, the signer approves, the relying party collects."""
    asked = ask(signer.installation.relying_party(signer))
    handset.open()
    handset.page.locator(f"a[href*='{asked.id}']").click()
    handset.at("request")
    handset.approve()
    asked.collect()


def pair_by_recovery(handset: Handset, signer: Signer, camera: FakeCamera, *, code: str) -> None:
    """Pair a new phone with a cell that exists."""
    envelope = replacement(signer)
    camera.hold_before_it(envelope.qr2)
    handset.open()
    handset.tap("pair")
    handset.tap("scan")
    handset.at("pair-password")
    handset.type(login=signer.login, password=NEW_PASSWORD, recovery_code=code)
    handset.tap("next")
    handset.at("pair-passkey")
    handset.make_passkey()
    handset.confirm(signer)


def test_no_secret_leaves_the_page_in_a_phones_whole_life(
    installation: Installation, new_handset: NewHandset, camera: FakeCamera
) -> None:
    signer = installation.register()
    secrets = {"cell": cell_secret(signer), "envelope": envelope_secret(signer)}
    first, second = new_handset(), new_handset()

    first.pair(signer, camera=camera)
    first.certify(signer)
    sign(first, signer)
    code = read_recovery_code(first)
    secrets["recovery code"] = secret_bytes(code)
    pair_by_recovery(second, signer, camera, code=code)
    sign(second, signer)

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
