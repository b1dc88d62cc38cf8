"""Retries: a network call that failed in passing is tried again, a bounded number of times; and why one failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

ATTEMPTS = 3
_FIRST_WAIT = 0.5  # seconds; doubled each time, with jitter
_LONGEST_WAIT = 5.0


def retried(call: Callable[[], _T], *, passing: Callable[[BaseException], bool]) -> _T:
    """Call, and call again while it raises what is ``passing``, three times in all; the last error comes out as it is.

    Args:
        call: does one attempt, with a time-out of its own.
        passing: says of an exception whether another attempt may help.

    """
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

    attempts = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT),
        retry=retry_if_exception(passing),
        reraise=True,
    )
    return attempts(call)


def reason_of(error: BaseException) -> str:
    """Return the innermost reason of a failed request in one line, without the library's wrapping."""
    inner: Any = error.args[0] if error.args else error
    reason = getattr(inner, "reason", None) or inner
    text = str(reason).rpartition(">: ")[2] or type(error).__name__
    return text.splitlines()[0]
