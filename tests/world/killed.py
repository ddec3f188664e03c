"""Runs a step in a process of its own and kills that (SIGKILL) right before or after a commit."""

import os
import signal
from collections.abc import Callable, Iterator
from itertools import count
from time import sleep
from typing import Literal

from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session, sessionmaker

from backend.model import steps
from backend.wiring import make_engine, make_session_factory

When = Literal["before_commit", "after_commit"]
Step = Callable[[sessionmaker[Session]], object]

FINISHED = 0
FAILED = 1


def killed_everywhere(engine: Engine, step: Step) -> Iterator[tuple[int, When]]:
    """Run a step again and again, killed at one point after the other; yield after each kill.

    It ends when the step gets through. Nothing of this process may be connected meanwhile. What the
    dead had begun is rolled back before anybody else comes, who would pass over rows still locked.
    """
    for number in count(1):
        for when in _POINTS:
            if not _is_killed(engine, step, number, when):
                return
            yield number, when


_POINTS: tuple[When, ...] = ("before_commit", "after_commit")


def _is_killed(engine: Engine, step: Step, number: int, when: When) -> bool:
    engine.dispose()
    child = os.fork()
    if child == 0:
        _be_killed(engine, step, number, when)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        _await_rollback(engine)
        return True
    assert os.WEXITSTATUS(status) == FINISHED, "the step failed before it could be killed"
    return False


def _await_rollback(engine: Engine) -> None:
    """Until PostgreSQL has noticed that nobody is there any more; SQLite's locks die at once."""
    if engine.dialect.name != "postgresql":
        return
    with engine.connect() as connection:
        while connection.scalar(_LEFT_BEHIND):
            connection.rollback()  # each look sees the activity anew
            sleep(0.01)
    engine.dispose()


_LEFT_BEHIND = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'"
)


def _let_steps_die(when: When, now: Callable[[], bool]) -> None:
    """Make each step of ``backend.model.steps`` a commit, too."""
    run = steps.Step.run

    def dying(
        step: steps.Step,
        session: Session,
        parameters: steps.Parameters,
        **named: steps.Parameters,
    ) -> object:
        if when == "before_commit" and now():
            os.kill(os.getpid(), signal.SIGKILL)
        done = run(step, session, parameters, **named)
        if when == "after_commit" and now():
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    steps.Step.run = dying  # type: ignore[method-assign, assignment]  # of this process, which ends


def _be_killed(engine: Engine, step: Step, number: int, when: When) -> None:
    """Never returns: this process has a copy of the tests in it."""
    try:
        sessions = make_session_factory(
            make_engine(engine.url.render_as_string(hide_password=False))
        )
        commits = count(1)

        def die(_session: Session) -> None:
            if next(commits) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(sessions, when, die)
        _let_steps_die(when, lambda: next(commits) == number)
        step(sessions)
    except BaseException:  # noqa: BLE001  # whatever it is, pytest must not run twice
        os._exit(FAILED)
    os._exit(FINISHED)
