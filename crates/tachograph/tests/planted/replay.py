"""A server that says what a recorded one said: `replay.py PLAN RECEIVED STDERR [ANYTHING...]`.

PLAN holds the lines of the server, each as `WAIT LENGTH` and a line feed, then LENGTH bytes: they are written as soon
as WAIT lines of the client have arrived. What arrives is kept in RECEIVED; STDERR is written to standard error first.
"""

import os
import sys
import threading

plan, received, errors = sys.argv[1:4]
arrived = threading.Condition()
count = 0
ended = False


def read():
    global count, ended
    with open(received, "wb", buffering=0) as copy:
        while data := os.read(0, 65536):
            copy.write(data)
            with arrived:
                count += data.count(b"\n")
                arrived.notify()
    with arrived:
        ended = True
        arrived.notify()


with open(errors, "rb") as text:
    sys.stderr.buffer.write(text.read())
    sys.stderr.buffer.flush()
reader = threading.Thread(target=read, daemon=True)
reader.start()
with open(plan, "rb") as lines:
    while head := lines.readline():
        wait, length = (int(word) for word in head.split())
        with arrived:
            arrived.wait_for(lambda: count >= wait or ended)
        sys.stdout.buffer.write(lines.read(length))
        sys.stdout.buffer.flush()
reader.join()
