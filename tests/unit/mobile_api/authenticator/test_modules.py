"""The app's protocol modules, by Node: docs/test-vectors.json, and what must be refused."""

from pathlib import Path

from tests.world.node import run_node_tests


def test_the_modules_agree_with_the_vectors() -> None:
    run_node_tests(Path(__file__).parents[3] / "authenticator")
