"""The script of the pages, by Node: how often a waiting page looks."""

from pathlib import Path

from tests.world.node import run_node_tests


def test_a_waiting_page_looks_when_told_and_else_ever_less_often() -> None:
    run_node_tests(Path(__file__).with_name("looking.test.mjs"))
