"""Tests that run side by side must not meet on a port."""

import subprocess
import sys
from contextlib import closing
from itertools import pairwise

from services.local.mosquitto import PASSWORDS
from services.local.stack import LocalStack
from tests import ports

_OTHER = """
import sys
from tests.ports import Block
block = Block()
print(block.first, flush=True)
sys.stdin.read()
"""


def test_processes_hold_blocks_of_their_own():
    """Two servers would be given one port, and a test would fail for another's sake."""
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        theirs = int(other.stdout.readline())
        with closing(ports.Block()) as block:
            assert block.first not in {theirs, ports.own().first}
        other.stdin.close()
        assert other.wait(60) == 0


def test_a_process_that_is_gone_holds_nothing():
    """After fifty runs no test could start a server."""
    for _ in range(len(ports.BLOCKS) + 1):
        ports.Block().close()


def test_ports_come_in_turn_and_stay_in_the_block():
    """A port that a server just left would be given to the next one."""
    with closing(ports.Block()) as block:
        given = [block.free() for _ in range(60)] + [block.free(3) for _ in range(10)]
        assert len(set(given)) == len(given)
        assert all(block.first < port < block.first + ports.SIZE for port in given)
        assert all(b - a >= 3 for a, b in pairwise(given[60:]))


def test_blocks_leave_room_for_what_else_listens(tmp_path):
    """A secured broker's second port, or a demo's server, would be taken by a test."""
    mine = {port for first in ports.BLOCKS for port in range(first, first + ports.SIZE)}
    usual = {server.usual_port for server in LocalStack(tmp_path).servers}
    near = {port for first in usual for port in range(first, first + PASSWORDS)}
    assert not mine & {port + PASSWORDS for port in mine}
    assert not mine & near
    assert max(mine) + PASSWORDS < 32_768
