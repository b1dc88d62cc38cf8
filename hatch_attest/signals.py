"""Signals: the first one that asks this program to end does so in order, and more of them do not disturb the order."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Ended(BaseException):
    """A signal asked this program to end; what was set up is undone on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _State:
    """What the handler has to know; signals are a process's, and so is this."""

    postponed = False
    pending: int | None = None


def end_on_signals() -> None:
    """Raise ``Ended`` in the main thread at the first SIGINT, SIGTERM or SIGHUP, unless it is ignored already."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    numbers = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]  # as under nohup

    def end(number: int, _: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        if _State.postponed:
            _State.pending = number
        else:
            raise Ended(number)

    if threading.current_thread() is threading.main_thread():
        for number in numbers:
            signal.signal(number, end)


@contextmanager
def postponed() -> Iterator[None]:
    """Let nothing be interrupted by ``Ended`` here: what is begun, such as a process, is known before it must end.

    Raises:
        Ended: at its end, for a signal that came meanwhile.

    """
    _State.postponed = True
    try:
        yield
    finally:
        _State.postponed = False
    if _State.pending is not None:
        number, _State.pending = _State.pending, None
        raise Ended(number)
