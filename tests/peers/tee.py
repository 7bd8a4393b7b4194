#!/usr/bin/env python3
"""A byte-level relay that keeps a copy: `tee.py DIR -- COMMAND ...`.

Starts COMMAND, passes standard input, output and error through unchanged, and writes what passed to
DIR/client_to_server, DIR/server_to_client and DIR/stderr. The copy is written before the bytes are handed on,
so it is never behind what the other side has seen. It knows nothing of JSON or of Tachograph: it is the
independent witness that the log is compared with. Exits as COMMAND does.
"""

import os
import signal
import subprocess
import sys
import threading

CHUNK = 65536


def relay(source, copy_path, target, close_target):
    with open(copy_path, "wb", buffering=0) as copy:
        while True:
            try:
                data = os.read(source, CHUNK)
            except OSError:
                break
            if not data:
                break
            copy.write(data)
            try:
                write_all(target, data)
            except OSError:
                # The reader is gone. Keep reading, so that the writer does not hang and the copy is whole.
                target = os.open(os.devnull, os.O_WRONLY)
    if close_target:
        os.close(target)


def write_all(target, data):
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]


def main():
    if len(sys.argv) < 4 or sys.argv[2] != "--":
        sys.exit("usage: tee.py DIR -- COMMAND ...")
    directory, command = sys.argv[1], sys.argv[3:]
    os.makedirs(directory, exist_ok=True)
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    path = lambda name: os.path.join(directory, name)
    towards_server = threading.Thread(
        target=relay,
        args=(0, path("client_to_server"), os.dup(child.stdin.fileno()), True),
        daemon=True,
    )
    child.stdin.close()
    towards_server.start()
    from_server = [
        threading.Thread(target=relay, args=(child.stdout.fileno(), path("server_to_client"), 1, False)),
        threading.Thread(target=relay, args=(child.stderr.fileno(), path("stderr"), 2, False)),
    ]
    for thread in from_server:
        thread.start()
    status = child.wait()
    for thread in from_server:
        thread.join()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    # Not sys.exit: the thread that still waits for standard input must not hold us up.
    os._exit(status)


if __name__ == "__main__":
    main()
