"""backend/delivery/smpp_session.py alone, with an SMS centre that is not ours."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from backend.delivery.segmenter import segments
from backend.delivery.smpp_address import connect, smpp_address
from backend.delivery.smpp_pdus import PartReport, submit
from backend.delivery.smpp_session import NotKnown, SmppSession, TakeReport
from backend.errors import NotAnswered
from tests.world.sms_centre import PASSWORD, USER, Centre

(PART,) = segments("Code", reference=0)


def write(sequence: int) -> bytes:
    return submit(
        PART,
        number="+79001234567",
        sender="Cellkey",
        valid_for=timedelta(minutes=5),
        sequence=sequence,
    )


async def take_all(_report: PartReport) -> bool:
    return True


def talk(
    centre: Centre,
    say: Callable[[SmppSession, "asyncio.Task[None]"], Awaitable[None]],
    *,
    take_report: TakeReport = take_all,
    quiet_seconds: float = 30.0,
) -> None:
    """Sign in, talk, and leave."""

    async def run() -> None:
        session = SmppSession(
            await connect(smpp_address(centre.url, reached_at="")),
            take_report=take_report,
            quiet_seconds=quiet_seconds,
            answer_seconds=30.0,
        )
        await session.sign_in(user=USER, password=PASSWORD)
        hearing = asyncio.create_task(session.run())
        await say(session, hearing)
        await session.leave()
        await hearing

    asyncio.run(run())


def test_a_silent_centre_is_asked_and_who_does_not_answer_is_gone(centre: Centre) -> None:
    async def say(session: SmppSession, hearing: "asyncio.Task[None]") -> None:
        for _ in range(2):
            await asyncio.to_thread(centre.wait_for, "enquired")
        assert not hearing.done()
        centre.tell(deaf=True)
        session._answer_seconds = 0.1  # until here a slow centre had all the time it needs
        await hearing

    talk(centre, say, quiet_seconds=0.05)


def test_an_answer_that_comes_too_late_is_nobodys(centre: Centre) -> None:
    async def say(session: SmppSession, _hearing: "asyncio.Task[None]") -> None:
        centre.tell(hold=True)
        patience, session._answer_seconds = session._answer_seconds, 0.3
        with pytest.raises(NotAnswered) as silence:
            await session.submit(write)
        session._answer_seconds = patience
        assert silence.value.perhaps_taken
        centre.tell(hold=False)
        centre.order("release")
        assert await session.submit(write) == "c2"

    talk(centre, say)


def test_a_report_that_could_not_be_written_down_comes_again(
    centre: Centre, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_report: PartReport) -> bool:
        raise RuntimeError("the database is gone")

    async def say(_session: SmppSession, _hearing: "asyncio.Task[None]") -> None:
        centre.report("c1", "DELIVRD")
        answer = await asyncio.to_thread(centre.wait_for, "delivered")
        assert answer["status"] == 0x64

    talk(centre, say, take_report=fail)
    assert "a report could not be written down" in caplog.text


def test_who_waits_when_the_connection_ends_is_told_that_nobody_knows(centre: Centre) -> None:
    async def say(session: SmppSession, hearing: "asyncio.Task[None]") -> None:
        centre.tell(hold=True)
        waiting = asyncio.create_task(session.submit(write))
        await asyncio.to_thread(centre.wait_for_texts, 1)
        centre.order("drop")
        with pytest.raises(NotAnswered) as lost:
            await waiting
        assert lost.value.perhaps_taken
        await hearing

    talk(centre, say)


def test_a_stranger_is_not_let_in(centre: Centre) -> None:
    async def run() -> None:
        session = SmppSession(
            await connect(smpp_address(centre.url, reached_at="")), take_report=take_all
        )
        try:
            with pytest.raises(NotKnown):
                await session.sign_in(user=USER, password="wrong")
        finally:
            session.close()

    asyncio.run(run())
