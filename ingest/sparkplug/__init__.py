"""
Sparkplug B, host side: the sequence of an edge node's messages.

Pure functions: nodes and messages in; readings, rejections and changed nodes out.  The caller
stores the nodes in the transaction of the readings.
"""

from ingest.sparkplug.host import Host, Outcome, Rules
from ingest.sparkplug.node import (
    PREFIX,
    SUBSCRIPTIONS,
    Node,
    Topic,
    WaitingMessage,
    command,
    host_state,
    own_topic,
    parse,
    rebirth,
    state_topic,
)

__all__ = [
    "PREFIX",
    "SUBSCRIPTIONS",
    "Host",
    "Node",
    "Outcome",
    "Rules",
    "Topic",
    "WaitingMessage",
    "command",
    "host_state",
    "own_topic",
    "parse",
    "rebirth",
    "state_topic",
]
