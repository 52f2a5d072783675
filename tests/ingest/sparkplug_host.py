"""A Sparkplug host in memory, for tests of its rules: the work of `Turn` without a database."""

from dataclasses import replace

from ingest.sparkplug import Host, Node, Outcome, Rules

NOW_US = 1_767_225_600_000_000


class Memory:
    """Takes messages, one batch per call, and returns their readings and rejections."""

    def __init__(self, *names, rules=None):
        self.nodes = {}
        self.known = set(names) or {"n-1"}
        self.rules = rules or Rules()
        self.now_us = NOW_US

    def _node(self, name):
        return self.nodes.setdefault(name, Node(name))

    def take(self, *messages, later_s=0.0):
        """Take messages of one batch; return readings by device, and reasons of rejections."""
        self.now_us += round(later_s * 1e6)
        out = Outcome(len(messages))
        host = Host(self._node, self.rules, out, self.known)
        for k, (topic, body) in enumerate(messages):
            # tests' nodes go by their own clock, which starts when ours does
            host.take(k, topic, body, max(self.now_us, NOW_US + 600_000_000))
        return self._told(out)

    def sweep(self, later_s):
        """Advance the time."""
        self.now_us = max(self.now_us, NOW_US + 600_000_000) + round(later_s * 1e6)
        out = Outcome(0)
        host = Host(self._node, self.rules, out, self.known)
        for node in list(self.nodes.values()):
            host.sweep(node, self.now_us)
        return self._told(out)

    def _told(self, out):
        for name, node in self.nodes.items():
            held = [one._replace(message=None) for one in node.waiting_messages]
            self.nodes[name] = replace(node, waiting_messages=held)
        readings = [
            (
                given.topic.split("/", 2)[2].removesuffix("/telemetry"),
                line.ts,
                {n: v for n, v in zip(line.of.names, line.numbers, strict=True) if v is not None},
            )
            for given in out.given
            for line in given.lines
        ]
        readings = [one for one in readings if one[2]]
        refused = [r.reason for r in out.rejected]
        refused += [reason for given in out.given for _, reason, _ in given.refused]
        return readings, refused

    @property
    def wants_rebirth(self):
        """Return the names of the nodes from which a rebirth is wanted."""
        return [name for name, node in self.nodes.items() if node.wanted_us is not None]
