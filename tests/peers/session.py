"""A client's side of one MCP session over stdio: sends, waits, keeps every byte.

Standard library only, and no MCP library on purpose: those parse and re-serialise, while the bytes are what is
compared here. One thread reads, the caller's thread alone writes, so the order of what is sent never depends on
the machine's mood.
"""

import json
import os
import queue
import signal
import subprocess
import threading
import time

# Generous: a cold Python server needs two seconds on an idle machine, and CI machines are not idle.
PATIENCE = 60.0

LEGACY_VERSION = "2025-11-25"
MODERN_VERSION = "2026-07-28"
CLIENT = {"name": "tachograph-peers", "version": "1.0.0"}


class SessionError(Exception):
    """The session did not go as scripted: an answer is missing, or the process would not end."""


class Session:
    def __init__(self, command, env, cwd, answers=None, capabilities=None):
        self.answers = answers or {}
        self.capabilities = capabilities or {}
        self.modern = False
        self.sent = bytearray()
        self.received = bytearray()
        self.stderr = bytearray()
        self.next_id = 0
        self.inbox = queue.Queue()
        self.responses = {}
        self.requested = []
        self.notified = []
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            bufsize=0,
        )
        self.readers = [
            threading.Thread(target=self._read_stdout, daemon=True),
            threading.Thread(target=self._read_stderr, daemon=True),
        ]
        for reader in self.readers:
            reader.start()

    # ---- what a script may do

    def open_legacy(self, version=LEGACY_VERSION):
        answer = self.request(
            "initialize",
            {"protocolVersion": version, "capabilities": self.capabilities, "clientInfo": CLIENT},
        )
        self.notify("notifications/initialized")
        return answer

    def open_modern(self):
        """Probe with `server/discover`. Returns whether the server speaks the 2026-07-28 revision."""
        self.modern = True
        answer = self.request("server/discover")
        self.modern = "result" in answer
        return self.modern

    def request(self, method, params=None, request_id=None):
        """Send a request and wait for its answer."""
        message = self.message(method, params, request_id)
        self.raw(line(message))
        return self.wait_for_answer(message["id"])

    def call(self, tool, arguments=None, **more):
        return self.request("tools/call", {"name": tool, "arguments": arguments or {}, **more})

    def notify(self, method, params=None):
        message = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message["params"] = params
        self.raw(line(message))

    def burst(self, messages):
        """Send many requests in one write, then wait for all answers, in whatever order they come."""
        self.raw(b"".join(line(message) for message in messages))
        return [self.wait_for_answer(message["id"]) for message in messages]

    def split(self, message, pieces=3):
        """Send one request in several writes, with pauses in the middle of it."""
        data = line(message)
        step = len(data) // pieces + 1
        for start in range(0, len(data), step):
            self.raw(data[start : start + step])
            time.sleep(0.02)
        return self.wait_for_answer(message["id"])

    def message(self, method, params=None, request_id=None):
        if request_id is None:
            request_id = self.next_id
            self.next_id += 1
        message = {"jsonrpc": "2.0", "id": request_id, "method": method}
        if self.modern:
            params = {**(params or {}), "_meta": self.meta((params or {}).get("_meta", {}))}
        if params is not None:
            message["params"] = params
        return message

    def meta(self, more):
        return {
            "io.modelcontextprotocol/protocolVersion": MODERN_VERSION,
            "io.modelcontextprotocol/clientInfo": CLIENT,
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
            **more,
        }

    def raw(self, data):
        self.sent += data
        view = memoryview(data)
        while view:
            view = view[self.process.stdin.write(view) :]

    def wait_for_answer(self, request_id):
        key = json.dumps(request_id)
        self._pump(lambda: key in self.responses, f"the answer to request {key}")
        return self.responses.pop(key)

    def wait_for_request(self, method):
        """Wait until the server asked `method`; it is answered from `answers` on the way."""
        self._pump(lambda: method in self.requested, f"the server's {method}")
        self.requested.remove(method)

    def wait_for_notification(self, method):
        self._pump(lambda: method in self.notified, f"the server's {method}")
        self.notified.remove(method)

    def close(self):
        """Close standard input, as a client does that is done; returns the exit status."""
        self.process.stdin.close()
        return self.wait_for_exit()

    def terminate(self):
        """What a client does whose server stays when its input has ended."""
        self.process.stdin.close()
        time.sleep(0.5)
        self.process.send_signal(signal.SIGTERM)
        return self.wait_for_exit()

    def wait_for_exit(self):
        """The exit status as a shell gives it: 128 and the number, if it was a signal."""
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.abandon()
            raise SessionError(f"no exit within {PATIENCE:.0f} s of the end of input") from None
        for reader in self.readers:
            reader.join(PATIENCE)
            if reader.is_alive():
                raise SessionError("the process ended, but something it started holds its output open")
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
        return 128 - status if status < 0 else status

    def abandon(self):
        self.process.kill()
        self.process.wait()

    # ---- inside

    def _pump(self, done, what):
        deadline = time.monotonic() + PATIENCE
        while not done():
            try:
                item = self.inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise SessionError(f"{what} did not come within {PATIENCE:.0f} s") from None
            if item is None:
                raise SessionError(f"output ended while waiting for {what}")
            self._take(item)

    def _take(self, data):
        try:
            message = json.loads(data)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        method = message.get("method")
        if method is None:
            self.responses[json.dumps(message.get("id"))] = message
        elif "id" in message:
            self.requested.append(method)
            self._answer(message)
        else:
            self.notified.append(method)

    def _answer(self, message):
        answer = {"jsonrpc": "2.0", "id": message["id"]}
        if message["method"] in self.answers:
            answer["result"] = self.answers[message["method"]]
        else:
            answer["error"] = {"code": -32601, "message": "Method not found"}
        self.raw(line(answer))

    def _read_stdout(self):
        rest = b""
        for data in chunks(self.process.stdout):
            self.received += data
            *lines, rest = (rest + data).split(b"\n")
            for item in lines:
                self.inbox.put(item)
        self.inbox.put(None)

    def _read_stderr(self):
        for data in chunks(self.process.stderr):
            self.stderr += data


def chunks(stream):
    while data := os.read(stream.fileno(), 65536):
        yield data


def line(message):
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
