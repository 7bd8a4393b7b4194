#!/usr/bin/env python3
"""The peers test tested: each of its comparisons must fail on what is wrong, else its silence means nothing.

A tiny server stands in for the real ones, and relays with one defect each for the recorder.
"""

import json
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

import check
import secret
import wire
from scripts import Server

SERVER = """
import json, sys
print("up", file=sys.stderr, flush=True)
for data in sys.stdin.buffer:
    try:
        message = json.loads(data)
    except ValueError:
        continue
    if isinstance(message, list) or "id" not in message:
        continue
    # Members in an order and with white space that a library would not keep.
    sys.stdout.buffer.write(b'{"result" : {"a":1.0},"jsonrpc":"2.0","id":' + json.dumps(message["id"]).encode() + b"}\\n")
    sys.stdout.flush()
sys.exit(3)
"""

# A line relay with a hole for one defect; `towards` and `back` get each line and return what is passed on.
RELAY = """
import json, subprocess, sys, threading
towards = back = lambda data: data
status = lambda code: code
noise = b""
%s
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
def errors():
    sys.stderr.buffer.write(child.stderr.read() + noise)
def answers():
    for data in child.stdout:
        sys.stdout.buffer.write(back(data))
        sys.stdout.flush()
threads = [threading.Thread(target=errors), threading.Thread(target=answers)]
[thread.start() for thread in threads]
for data in sys.stdin.buffer:
    child.stdin.write(towards(data))
    child.stdin.flush()
child.stdin.close()
[thread.join() for thread in threads]
sys.exit(status(child.wait()))
"""


def script(session, _workspace):
    session.call("echo", {"text": "hello"})


def problems_with(defect):
    """What the comparisons find when a relay with this defect stands where the recorder does."""
    server = Server("tiny", lambda cache, workspace: [sys.executable, "-c", SERVER], script, exit_status=3)
    with tempfile.TemporaryDirectory() as base:
        places = check.Places("", base)
        relay = [] if defect is None else [sys.executable, "-c", RELAY % defect]
        direct = check.play(server, "modern", [], places)
        relayed = check.play(server, "modern", relay, places)
        return [*check.untouched(direct), *check.untouched(relayed), *check.same(direct, relayed, server)]


class Comparisons(unittest.TestCase):
    def test_direct_and_an_honest_relay_pass(self):
        self.assertEqual(problems_with(None), [])
        self.assertEqual(problems_with(""), [])

    def test_each_defect_is_found(self):
        for defect, finding in (
            (r'towards = lambda data: data.replace(b"\r\n", b"\n")', "client to server"),
            (r'towards = lambda data: b"" if data == b"\n" else data', "client to server"),
            (r"back = lambda data: json.dumps(json.loads(data)).encode() + b'\n'", "server to client"),
            (r'back = lambda data: data.replace(b"1.0", b"1")', "server to client"),
            (r'noise = b"recording\n"', "standard error"),
            (r"status = lambda code: 0", "exit status"),
        ):
            with self.subTest(defect):
                found = problems_with(defect)
                self.assertTrue(any(text.startswith(finding) for text in found), found)


def record(**members):
    return {"type": "mcp_request", **members}


INTENT = record(id="i1", stage="intent", direction="client_to_server")
OUTCOME = record(id="o1", ref="i1", stage="outcome", direction="server_to_client")
UNPARSED = record(type="mcp_unparsed", direction="client_to_server")


class Counting(unittest.TestCase):
    def test_the_wire(self):
        for data, expected in (
            (b"", (0, 0, 0)),
            (b'{"id":1,"method":"ping"}\n{"method":"x"}\r\n\n', (2, 0, 1)),
            (b'[{"id":1,"result":{}},{"id":2,"error":{}}]\n', (2, 0, 0)),
            (b'[]\n7\nhello\n{"foo":1}\n', (0, 4, 0)),
            (b'{"id":1,"method":"ping"}', (1, 0, 0)),
            (b'{"id":1,"meth', (0, 1, 0)),
        ):
            counts = wire.count_wire(data)
            self.assertEqual((counts["messages"], counts["unparsed"], counts["blank"]), expected, data)

    def test_a_log_with_one_record_too_few_or_too_many_is_found(self):
        tee = {"client_to_server": b'{"id":1,"method":"ping"}\nnoise\n', "server_to_client": b'{"id":1,"result":{}}\n'}
        run = check.Run(0, b"", b"", b"", tee)
        good = [INTENT, UNPARSED, OUTCOME, record(type="server_exited")]
        self.assertEqual(list(check.counted(run, good)), [])
        for records, finding in (
            ([INTENT, UNPARSED], "server_to_client: the tee saw 1 messages, the log has 0"),
            ([INTENT, UNPARSED], "intent i1 has no outcome"),
            ([INTENT, OUTCOME], "client_to_server: the tee saw 1 unparsed, the log has 0"),
            ([*good, OUTCOME], "server_to_client: the tee saw 1 messages, the log has 2"),
        ):
            self.assertIn(finding, list(check.counted(run, records)))


class Files(unittest.TestCase):
    def test_a_secret_in_any_file_is_found(self):
        for value in secret.planted():
            with tempfile.TemporaryDirectory() as directory:
                self.assertEqual(list(check.secrets_in(directory)), [])
                os.makedirs(os.path.join(directory, "log", "segments"))
                with open(os.path.join(directory, "log", "segments", "a.jsonl"), "wb") as file:
                    file.write(b'{"args":"' + value + b'"}')
                self.assertEqual(len(list(check.secrets_in(directory))), 1)

    def test_a_half_written_last_record_is_no_record(self):
        with tempfile.TemporaryDirectory() as directory:
            os.makedirs(os.path.join(directory, "log", "segments"))
            with open(os.path.join(directory, "log", "segments", "2026-11-20-000.jsonl"), "w", encoding="utf-8") as file:
                file.write(json.dumps(INTENT) + "\n" + json.dumps(OUTCOME)[:9])
            self.assertEqual(wire.read_log(directory), [INTENT])

    def test_varying_members_are_blanked_and_nothing_else(self):
        plain = rb'{"at":"12:00","to":"x","in":"{\"at\": \"13:00\", \"to\": 1}"}'
        self.assertEqual(check.without(plain, ("at",)), rb'{"at":"~","to":"x","in":"{\"at\": \"~\", \"to\": 1}"}')

    def test_a_verifier_that_says_no_is_heard(self):
        self.assertEqual(list(check.verified("true", "/nowhere")), [])
        self.assertEqual(len(list(check.verified("false", "/nowhere"))), 1)


def main():
    outcome = unittest.main(exit=False, verbosity=0).result
    failed = len(outcome.failures) + len(outcome.errors)
    print(f"harness: {outcome.testsRun - min(failed, outcome.testsRun)} passed; {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
