"""A witness of tonne in a thread, over HTTP as by `tonne witness serve`."""

import threading
import time
from contextlib import contextmanager

import uvicorn

from mrv.log import Vkey
from services import witness_state as witness_keys
from services.logs import get_logger
from services.witness import Cosigner, Witness
from services.witness_state import State
from tests.ports import free_port
from tests.waiting import until


def made(folder, name):
    """Make a witness's keys."""
    return witness_keys.create(folder, name)


@contextmanager
def answering(folder, *logs, port=None, now_s=None):
    """Serve the witness of a folder, which knows these logs; yield its URL."""
    port = port or free_port()
    with State(folder) as state:
        for log in logs:
            state.add_log(Vkey.parse(log.vkey), 0)
        cosigner = Cosigner(witness_keys.load(folder), state, now_s or (lambda: int(time.time())))
        app = Witness(cosigner, 1_000_000, get_logger("test"))
        server = uvicorn.Server(
            uvicorn.Config(app, port=port, lifespan="off", log_config=None, ws="none")
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            until(lambda: server.started)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()


def policy(log, witnesses, quorum):
    """Write a policy of one log: name to (key, URL or None), and its lines of groups."""
    lines = [f"log {log.vkey}"]
    lines += [f"witness {name} {key} {url or ''}" for name, (key, url) in witnesses.items()]
    return "\n".join([*lines, *quorum]) + "\n"
