"""Contenders that need no library, for tests of the machinery."""

import time

from benchmarks.workers import AbsentError


class Program:
    """Has the losses it is told to have, and takes the time it is told to take."""

    def __init__(self, losses=(), milliseconds=0.0, absent=None, network=None, path=None):
        if absent:
            raise AbsentError(absent)
        self._losses, self.milliseconds = list(losses), milliseconds
        print("chatter on standard output")

    def losses(self):
        return self._losses

    def train(self):
        time.sleep(self.milliseconds / 1000)

    predict = train

    def fail(self):
        raise ValueError("wrong on purpose")
