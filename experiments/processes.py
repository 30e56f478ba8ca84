"""Several processes run one experiment; one that ends early stops the others.

Every process is started with the same command and, where no cluster tells JAX, with
``--coordinator_address``, ``--num_processes`` and its own ``--process_id``. Process 0
holds a connection to each of the others. The system closes a connection when its
process dies: process 0 then tells the others which one it was, and all stop at once.
A process that is stopped, or whose machine cannot be reached, sends no signs of life:
after ``SILENT`` seconds it is taken for dead.
"""

import atexit
import contextlib
import ctypes
import functools
import hashlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from absl import flags
from rich.console import Console

from experiments import workdir
from optlab.errors import InputError, first_line
from optlab.sweep.parallel import broadcast

ADDRESS = flags.DEFINE_string(
    "coordinator_address",
    None,
    "HOST:PORT of process 0, for one run of several processes; on SLURM, Open MPI, "
    "Kubernetes and TPU pods JAX finds it.",
)
PROCESSES = flags.DEFINE_integer("num_processes", None, "Number of processes.")
PROCESS = flags.DEFINE_integer("process_id", None, "Index of this process, from 0.")

#: Seconds without a sign of life after which a process is taken for dead, and seconds
#: from one sign to the next.
SILENT, BEAT = 30, 5

#: Seconds in which all processes must have started.
STARTING = 300

#: Seconds that an error waits for news of a process that died, which may explain it.
NEWS = 5

#: Sign of life; last word of a process that has done its part, and of process 0 where
#: one of these has died since, for which nobody may wait.
ALIVE, DONE, GONE = b"\0", b"done", b"gone"


def together(
    main: Callable[..., None], advice: str = "start the same command again"
) -> Callable[..., None]:
    """Lets several processes, where there are some, run ``main`` together.

    Args:
      main: function that all processes call.
      advice: end of the line that is printed when a process dies.

    Returns:
      The function. It joins the other processes first, if there are any.
    """

    @functools.wraps(main)
    def run(*arguments: Any) -> None:
        if not _is_one_of_several():
            return main(*arguments)
        _join()
        if jax.process_count() == 1:
            return main(*arguments)
        watch = _Watch(advice)
        try:
            main(*arguments)
        except BaseException as error:
            watch.fail(error)
            raise
        watch.leave()

    return run


def leads() -> bool:
    """Tells whether this process writes the results."""
    return jax.process_index() == 0


def require_same(settings: Any) -> None:
    """Refuses processes of different settings, which would wait for each other.

    All processes must call it.

    Args:
      settings: all that decides what is computed, as nested plain data.

    Raises:
      InputError: process 0 has other settings than this process.
    """
    text = json.dumps(settings).encode()
    digest = np.frombuffer(hashlib.sha256(text).digest(), np.uint8)
    if np.any(broadcast(digest) != digest):
        raise InputError(
            "config or flags of this process differ from those of process 0: start "
            "the same command in each"
        )


def _is_one_of_several() -> bool:
    """Tells whether flags or a cluster say that this is one process of several."""
    given = {
        "coordinator_address": ADDRESS.value,
        "num_processes": PROCESSES.value,
        "process_id": PROCESS.value,
    }
    missing = [name for name, value in given.items() if value is None]
    if not missing or _in_cluster():
        return True
    if len(missing) < len(given):
        raise InputError(
            f"several processes need --{missing[0]} too: give each of them "
            "--coordinator_address=HOST:PORT, --num_processes and --process_id"
        )
    return False


def _in_cluster() -> bool:
    """Tells whether a cluster that JAX knows has started several processes.

    A batch script of SLURM is not one of its job's tasks, and many a pod belongs to no
    job.
    """
    environment = os.environ.get
    return (
        int(environment("SLURM_STEP_NUM_TASKS", "1")) > 1
        or int(environment("OMPI_COMM_WORLD_SIZE", "1")) > 1
        or "," in environment("TPU_WORKER_HOSTNAMES", "")
        or "," in environment("TPU_PROCESS_ADDRESSES", "")
        or {"KUBERNETES_SERVICE_HOST", "JOB_COMPLETION_INDEX"} <= {*os.environ}
    )


def _join() -> None:
    """Starts or finds the coordinator, and waits for the other processes.

    Raises:
      InputError: the flags are wrong, or the others do not come.
    """
    address, count, index = ADDRESS.value, PROCESSES.value, PROCESS.value
    if address is not None and not _is_address(address):
        raise InputError(f"--coordinator_address={address} is not HOST:PORT")
    if count is not None and count < 1:
        raise InputError(f"--num_processes={count} must be 1 or more")
    if count is not None and index is not None and not 0 <= index < count:
        raise InputError(
            f"--process_id={index} must be from 0 to {count - 1}, one below "
            "--num_processes"
        )
    # JAX's service for preemption would keep SIGTERM from ending the process.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            address,
            count,
            index,
            initialization_timeout=STARTING,
            # Longer than our own, which names the process where JAX aborts.
            heartbeat_timeout_seconds=4 * SILENT,
        )
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"the processes did not come together: {first_line(error)}; is process 0 "
            f"running at {address or 'its address'}, and were all of them started?"
        ) from error


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 2**16


class _Watch:
    """Connections of process 0 to all others, watched by a thread.

    It also takes the output of libraries in C++ off the terminal, whose collectives
    print a line each: all of it in the other processes, standard output in process 0.
    """

    def __init__(self, advice: str):
        self.index, self.advice = jax.process_index(), advice
        self.code: int | None = None  # to end with, without a word to JAX
        _silence(1)
        if not leads():
            _silence(2)
            # JAX aborts at once, with a stack trace, when process 0 is gone. Its thread
            # first sleeps for as many seconds as the signal's number, 6, in which ours
            # says why.
            libc = ctypes.CDLL(None)
            libc.signal(signal.SIGABRT, ctypes.cast(libc.sleep, ctypes.c_void_p))
        try:
            self.peers = self._connect()
        except OSError as error:
            raise InputError(
                f"processes cannot connect to process 0 ({error}): let them reach it "
                "on other ports than the coordinator's, too"
            ) from error
        self.lock = threading.Lock()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()
        threading.Thread(target=self._beat, daemon=True).start()
        atexit.register(self._end)  # runs before JAX's own, which waits for the others

    def _connect(self) -> dict[int, socket.socket]:
        """Process's index to connection: of process 0 to all, of the others to it."""
        listener = _listener() if leads() else None
        port = listener.getsockname()[1] if listener else 0
        about = " ".join([str(port), *_hosts()]).encode().ljust(600)[:600]
        sent = np.frombuffer(os.urandom(16) + about, np.uint8)
        received = broadcast(sent).tobytes()
        token, (port, *hosts) = received[:16], received[16:].decode().split()
        if listener is not None:
            with listener:
                return _accept(listener, token)
        peer = _reach(hosts, int(port))
        peer.settimeout(None)
        peer.sendall(token + self.index.to_bytes(4))
        return {0: peer}

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            for index, peer in self.peers.items():
                selector.register(peer, selectors.EVENT_READ, index)
            heard = dict.fromkeys(self.peers, time.monotonic())
            while connected := selector.get_map():
                # Guard: twice, or a process that was stopped itself would find its
                # time over before it reads.
                for key, _ in selector.select(BEAT) or selector.select(0):
                    heard[key.data] = time.monotonic()
                    self._hear(key.data, key.fileobj, selector)
                for key in [*connected.values()]:
                    if time.monotonic() - heard[key.data] > SILENT:
                        self._stop(f"process {key.data} was silent for {SILENT} s")

    def _beat(self) -> None:
        while True:
            time.sleep(BEAT)
            self._tell(ALIVE)

    def _hear(self, index: int, peer: Any, selector: Any) -> None:
        try:
            said = peer.recv(2000)
        except OSError:  # its machine does not answer
            said = b""
        if not said:
            self._stop(f"process {index} died")
        news = said.replace(ALIVE, b"")
        if news in (DONE, GONE):
            self.code = 0 if news == GONE else self.code
            selector.unregister(peer)
        elif news:
            self._end_all(news)

    def _stop(self, reason: str) -> None:
        self._end_all(f"{reason}: all processes stop; {self.advice}".encode())

    def _end_all(self, news: bytes) -> None:
        self._tell(news)
        with self.lock:  # held by a process that fails itself, and says so
            line = f"error: {news.decode(errors='replace')}"
            print(line, file=sys.stderr, flush=True)
            Console(stderr=True).show_cursor()  # the bar, which hid it, never ends
            workdir.remove_unused()
            os._exit(1)

    def _tell(self, text: bytes) -> None:
        for peer in self.peers.values():
            try:
                peer.sendall(text)
            except OSError:
                continue

    def leave(self) -> None:
        """Says that this process has done its part, and waits for the others."""
        if not leads():
            self._tell(DONE)
        self.listener.join()
        if leads():
            gone = any(_is_closed(peer) for peer in self.peers.values())
            self.code = 0 if gone else None
            self._tell(GONE if gone else DONE)

    def fail(self, error: BaseException) -> None:
        """Says that this process ends with an error; the others stop.

        An error may be the end of another process, which the thread knows in a moment.
        """
        known = InputError | OSError | KeyboardInterrupt | SystemExit
        if not isinstance(error, known):
            threading.Event().wait(NEWS)
        self.lock.acquire()
        self.code = 1
        kind = type(error).__name__
        text = "stopped" if isinstance(error, KeyboardInterrupt) else str(error) or kind
        news = f"process {self.index}: {' '.join(text.split())}".encode()[:1000]
        self._tell(news + b": all processes stop")

    def _end(self) -> None:
        if self.code is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.code)


def _listener() -> socket.socket:
    """Opens a port of the system's choice, on all addresses."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(
            ("", 0), family=socket.AF_INET6, dualstack_ipv6=True
        )
    return socket.create_server(("", 0))


def _accept(listener: socket.socket, token: bytes) -> dict[int, socket.socket]:
    """Waits for all other processes, which know the token; strangers are sent away."""
    found: dict[int, socket.socket] = {}
    listener.settimeout(STARTING)
    while len(found) < jax.process_count() - 1:
        peer, _ = listener.accept()
        peer.settimeout(SILENT)
        hello = b""
        with contextlib.suppress(OSError):
            hello = peer.recv(20)
        peer.settimeout(None)
        if len(hello) == 20 and hello[:16] == token:
            found[int.from_bytes(hello[16:])] = peer
        else:
            peer.close()
    return found


def _is_closed(peer: socket.socket) -> bool:
    """Tells whether the process at the other end is gone."""
    with contextlib.suppress(ConnectionError):
        try:
            while peer.recv(2000, socket.MSG_DONTWAIT):
                continue  # signs of life
        except BlockingIOError:
            return False
    return True


def _reach(hosts: Sequence[str], port: int) -> socket.socket:
    """Connects to the first host that answers."""
    for host in hosts[:-1]:
        with contextlib.suppress(OSError):
            return socket.create_connection((host, port), timeout=SILENT)
    return socket.create_connection((hosts[-1], port), timeout=SILENT)


def _hosts() -> list[str]:
    """Lists names and addresses at which the others may find process 0."""
    if ADDRESS.value is not None:
        return [ADDRESS.value.rpartition(":")[0].strip("[]")]
    found = [socket.gethostname()]
    with contextlib.suppress(OSError):  # the name of a pod is not known to other pods
        found.append(socket.gethostbyname(found[0]))
    return found


def _silence(descriptor: int) -> None:
    """Keeps Python's output of a descriptor, and drops that of libraries in C++."""
    name = {1: "stdout", 2: "stderr"}[descriptor]
    getattr(sys, name).flush()
    kept = os.fdopen(os.dup(descriptor), "w", buffering=1, encoding="utf-8")
    setattr(sys, name, kept)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)
