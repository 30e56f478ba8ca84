"""The one error a user's mistake raises, and the names nearest to a mistyped one."""

import difflib
import sysconfig
import traceback
from collections.abc import Collection, Iterable

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


def check_choice(
    kind: str, given: object, known: Collection[str], label: str = ""
) -> None:
    """Refuses a name that is not among the known ones.

    Args:
      kind: noun for the message, such as ``"solver"``.
      given: name that the user typed, or another value in its place.
      known: every accepted name.
      label: name of the part that takes it, for the message.

    Raises:
      InputError: the name is none of them.

    >>> check_choice("solver", "qrr", ("qr", "cg"), label="gauss_newton")
    Traceback (most recent call last):
    ...
    optlab.errors.InputError: gauss_newton: no solver 'qrr'; did you mean qr?
    """
    if not isinstance(given, str) or given not in known:
        at = f"{label}: " if label else ""
        raise InputError(f"{at}no {kind} {given!r}; {near(given, known)}")


def first_line(error: BaseException) -> str:
    r"""The first line of what an error says, which may be nothing.

    >>> first_line(ValueError("shapes differ\n  at f")), first_line(ValueError())
    ('shapes differ', '')
    """
    return next(iter(str(error).strip().splitlines()), "")


def origin(error: BaseException) -> str:
    """Tells whose code raised an error.

    Args:
      error: caught error.

    Returns:
      ``optlab``, ``package`` (an installed one, or Python's own) or ``user``.
    """
    file = traceback.extract_tb(error.__traceback__)[-1].filename
    if file.startswith(__file__.removesuffix("errors.py")):
        return "optlab"
    installed = [sysconfig.get_path(kind) for kind in ("purelib", "stdlib")]
    return "package" if file.startswith(tuple(installed)) else "user"
