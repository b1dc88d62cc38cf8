"""Signals: the first one ends the program in order, whatever it is at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def run(body: str) -> subprocess.CompletedProcess[str]:
    """Run Python code that ends itself by signals, in a process of its own."""
    script = "import os, signal\nfrom hatch_attest.signals import Ended, end_on_signals, postponed\n"
    return subprocess.run(
        [sys.executable, "-c", script + textwrap.dedent(body)],
        env=os.environ, capture_output=True, encoding="utf-8", check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_first_signal_ends_in_order_and_the_second_does_not_disturb(name: str) -> None:
    """Whoever presses Ctrl-C twice would otherwise interrupt the removal of what was set up."""
    result = run(f"""
        end_on_signals()
        try:
            os.kill(os.getpid(), signal.{name})
        except Ended as ended:
            os.kill(os.getpid(), signal.{name})
            print("in order", ended.number)
    """)

    assert result.stdout == f"in order {int(getattr(signal, name))}\n"


def test_what_is_begun_is_known_before_it_must_end() -> None:
    """A process that was started and is not known yet would outlive this program."""
    result = run("""
        end_on_signals()
        begun = None
        try:
            with postponed():
                os.kill(os.getpid(), signal.SIGTERM)
                begun = "begun"
        except Ended:
            print(begun)
    """)

    assert result.stdout == "begun\n"


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """As SIGHUP is under nohup."""
    result = run("""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        end_on_signals()
        os.kill(os.getpid(), signal.SIGHUP)
        print("still here")
    """)

    assert result.stdout == "still here\n"
