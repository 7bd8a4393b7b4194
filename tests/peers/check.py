#!/usr/bin/env python3
"""Real MCP servers, with and without the recorder: the same session twice, compared byte for byte.

Each server is played its script (scripts.py) directly and through `tacho run`. Around the server, both times, stands an
independent tee (tee.py). Then, for each session:

1. what the client sent is what the server got, and what the server wrote is what the client got: byte for byte;
2. so too standard error; and the exit status is the server's own;
3. both sessions are equal, but for the members that the script names as varying;
4. the log has exactly one record with a `direction` for each message that the tee saw, each way; every intent has its
   outcome; no planted secret is in any file; and `tacho verify` finds nothing wrong.
"""

import argparse
import collections
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import install
import scripts
import secret
import wire
from session import Session, SessionError

HERE = os.path.dirname(os.path.abspath(__file__))
Run = collections.namedtuple("Run", "status sent received stderr tee")


def play(server, era, recorder, places):
    """Play the script once. `recorder` is put in front of the server's command; empty for a direct run."""
    workspace, tee = places.fresh("workspace"), places.fresh("tee")
    server.prepare(workspace)
    command = [sys.executable, os.path.join(HERE, "tee.py"), tee, "--", *server.command(places.cache, workspace)]
    session = Session(
        [*recorder, *command],
        environment(server, workspace),
        workspace,
        server.answers(workspace),
        server.capabilities,
    )
    try:
        scripts.opening(session, era)
        scripts.everyday(session)
        scripts.odd_lines(session)
        server.script(session, workspace)
        end = {"eof": session.close, "term": session.terminate, "exit": session.wait_for_exit}
        status = end[server.ending]()
    except BaseException:
        session.abandon()
        sys.stderr.write(bytes(session.stderr[-4000:]).decode(errors="replace"))
        raise
    copies = {name: read(os.path.join(tee, name)) for name in (*wire.DIRECTIONS, "stderr")}
    return Run(status, bytes(session.sent), bytes(session.received), bytes(session.stderr), copies)


def environment(server, workspace):
    # Not the caller's environment: what a server prints about it must be the same twice, and anywhere.
    base = {"PATH": os.environ["PATH"], "HOME": workspace, "LANG": "C.UTF-8", "TZ": "UTC", "NO_COLOR": "1"}
    return {**base, "PYTHONDONTWRITEBYTECODE": "1", **server.env(workspace)}


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Places:
    """The cache, and a temporary directory in which each run finds the same paths, empty."""

    def __init__(self, cache, base):
        self.cache, self.base = cache, base
        self.data = os.path.join(base, "data")

    def fresh(self, name):
        path = os.path.join(self.base, name)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return path


# ---- what must hold: each returns what is wrong, as text


def untouched(run):
    """Promise 4: the bytes pass as they are."""
    yield from differs("client to server", run.sent, run.tee["client_to_server"])
    yield from differs("server to client", run.tee["server_to_client"], run.received)
    yield from differs("standard error", run.tee["stderr"], run.stderr)


def same(direct, recorded, server):
    plain = lambda data: without(data, server.varying)
    # The order within a run is not lost sight of: `untouched` holds it against the tee.
    answers = lambda data: b"\n".join(sorted(plain(data).split(b"\n"))) if server.any_order else plain(data)
    yield from differs("client to server, direct and recorded", plain(direct.sent), plain(recorded.sent))
    yield from differs("server to client, direct and recorded", answers(direct.received), answers(recorded.received))
    for name, run in (("direct", direct), ("recorded", recorded)):
        if run.status != server.exit_status:
            yield f"exit status {name}: {run.status}, expected {server.exit_status}"


def without(data, members):
    """Blank the values of the named members, also where JSON stands inside a JSON string."""
    for member in members:
        data = re.sub(rb'(\\*"' + member.encode() + rb'\\*"\s*:\s*\\*")(?:[^"\\]|\\(?!"))*', rb"\1~", data)
    return data


def differs(what, expected, actual):
    if expected == actual:
        return
    at = next((i for i, (a, b) in enumerate(zip(expected, actual)) if a != b), min(len(expected), len(actual)))
    around = lambda data: data[max(0, at - 60) : at + 60]
    yield f"{what}: {len(expected)} and {len(actual)} bytes, first difference at {at}:\n      {around(expected)}\n      {around(actual)}"


def counted(run, records):
    """Promise 1: one record for each message that the independent tee saw."""
    log = wire.count_log(records)
    for direction in wire.DIRECTIONS:
        seen = wire.count_wire(run.tee[direction])
        for kind in ("messages", "unparsed"):
            if seen[kind] != log[direction][kind]:
                yield f"{direction}: the tee saw {seen[kind]} {kind}, the log has {log[direction][kind]}"
    for intent in wire.open_intents(records):
        yield f"intent {intent} has no outcome"


def secrets_in(directory):
    """Promise 2: nothing secret is kept, in no file."""
    for root, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(root, name)
            if os.path.isfile(path) and any(value in read(path) for value in secret.planted()):
                yield f"a planted secret is in {os.path.relpath(path, directory)}"


def verified(tacho, directory):
    """Promise 3, from the outside: the verifier finds nothing wrong."""
    done = subprocess.run([tacho, "verify", "--dir", directory], stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode != 0:
        yield f"tacho verify: exit {done.returncode}: {(done.stdout + done.stderr).decode(errors='replace').strip()}"


# ---- the whole


def check(server, era, flags, tacho, places):
    """Returns what is wrong, and how many messages went over the wire."""
    recorder = [tacho, "run", "--name", f"{server.name}-{era}", "--dir", places.data, *flags, "--"] if tacho else []
    direct = play(server, era, [], places)
    before = len(wire.read_log(places.data))
    recorded = play(server, era, recorder, places)
    problems = [*untouched(direct), *untouched(recorded), *same(direct, recorded, server)]
    if tacho:
        # Closed after each session, so that what is verified is sealed to its end, as an auditor gets it; the next
        # session then also opens a log that is not new.
        stop_recorder(places.data)
        problems += counted(recorded, wire.read_log(places.data)[before:])
        problems += secrets_in(places.data)
        problems += verified(tacho, places.data)
    return problems, sum(wire.count_wire(recorded.tee[d])["messages"] for d in wire.DIRECTIONS)


def stop_recorder(directory):
    """End the recorder that `tacho run` started, as its log names it, and wait until it has closed the log."""
    latest = [record for record in wire.read_log(directory) if record["type"] in ("log_opened", "log_closed")]
    if not latest:
        raise SessionError("nothing was recorded: the log was never opened")
    if latest[-1]["type"] == "log_opened":
        os.kill(latest[-1]["details"]["pid"], signal.SIGTERM)
    deadline = time.monotonic() + 10
    # Not the last record: the checkpoint over it comes after. The lock is let go when all is written.
    with open(os.path.join(directory, "lock"), "rb") as lock:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.05)
    raise SessionError("the recorder did not close its log within 10 s of SIGTERM")


def sessions(only):
    """Every server in its generations; the one-process mode, which differs behind the door only, with two of them."""
    servers = [server for server in scripts.SERVERS if only in (None, server.name)]
    yield from ((server, era, ()) for server in servers for era in server.eras)
    for server in servers:
        if server.name in ("memory", "ts-sdk-2"):
            yield server, server.eras[-1], ("--in-process",)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--tacho", default=os.environ.get("TACHO_BIN"), help="the binary; without it both runs are direct")
    arguments.add_argument("--cache", default=os.environ.get("PEERS_CACHE") or install.default_cache())
    arguments.add_argument("--only", help="one server's name")
    arguments.add_argument("--keep", action="store_true", help="keep the temporary directory")
    options = arguments.parse_args()
    install.install(options.cache)
    base = tempfile.mkdtemp(prefix="tachograph-peers-")
    places = Places(options.cache, base)
    tacho = options.tacho and os.path.abspath(options.tacho)
    if tacho and not os.access(tacho, os.X_OK):
        sys.exit(f"peers: {tacho} is not a program: build it first")
    passed, failed = 0, 0
    for server, era, flags in sessions(options.only):
        started = time.monotonic()
        try:
            problems, messages = check(server, era, flags, tacho, places)
        except (SessionError, AssertionError, ValueError, KeyError, OSError) as error:
            problems, messages = [f"{type(error).__name__}: {error}"], 0
        passed, failed = passed + (not problems), failed + bool(problems)
        words = " ".join(["peer", server.name, era, *flags])
        verdict = "FAILED" if problems else "ok"
        print(f"{words}: {messages} messages, {time.monotonic() - started:.1f} s ... {verdict}", flush=True)
        for problem in problems:
            print(f"    {problem}", flush=True)
    if options.keep:
        print(f"kept: {base}")
    else:
        shutil.rmtree(base)
    print(f"peers: {passed} passed; {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
