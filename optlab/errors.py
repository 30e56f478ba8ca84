"""The one error a user's mistake raises, and the names nearest to a mistyped one."""

import difflib
from collections.abc import Iterable

#: Largest number of names that are listed where none is near.
MOST_LISTED = 20


class InputError(ValueError):
    """Something the user gave is wrong; the message is one line that says what to do.

    Command lines print it without a traceback and exit with code 1.
    """


def near(name: object, known: Iterable[str]) -> str:
    """Names close to ``name`` among ``known``, as the end of an error message.

    Args:
      name: name that the user typed, or another value in its place.
      known: every accepted name.

    Returns:
      ``did you mean a, b?`` or, where nothing is close, ``known: a, b, c``, cut
      after ``MOST_LISTED``; ``there is none`` where nothing is known.

    >>> near("adma", ["adam", "lamb", "sgd"])
    'did you mean adam?'
    >>> near("x", ["adam", "sgd"])
    'known: adam, sgd'
    >>> near("x", [])
    'there is none'
    """
    known = sorted(known)
    if not known:
        return "there is none"
    if close := difflib.get_close_matches(str(name), known, n=4, cutoff=0.6):
        return f"did you mean {', '.join(close)}?"
    some = known if len(known) <= MOST_LISTED else known[: MOST_LISTED - 1]
    more = f" and {len(known) - len(some)} more" if len(some) < len(known) else ""
    return f"known: {', '.join(some)}{more}"
