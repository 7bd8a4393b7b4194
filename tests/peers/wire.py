"""Counting messages: on the wire, as the tee copied it, and in the log, as Tachograph wrote it."""

import collections
import glob
import json
import os

DIRECTIONS = ("client_to_server", "server_to_client")


def count_wire(data):
    """What one direction of the wire carried: `messages` (batch elements singly), `unparsed` lines, `blank` lines."""
    counts = collections.Counter(messages=0, unparsed=0, blank=0)
    lines = data.split(b"\n")
    # What follows the last line feed is a line of its own only if there is something there.
    if not lines[-1]:
        lines.pop()
    for item in lines:
        if not item.strip():
            counts["blank"] += 1
            continue
        try:
            value = json.loads(item)
        except ValueError:
            counts["unparsed"] += 1
            continue
        elements = value if isinstance(value, list) and value else [value]
        for element in elements:
            is_message = isinstance(element, dict) and ("method" in element or "id" in element)
            counts["messages" if is_message else "unparsed"] += 1
    return counts


def read_log(directory):
    """Every record in the log, in order."""
    records = []
    for path in sorted(glob.glob(os.path.join(directory, "log", "segments", "*.jsonl*"))):
        if not path.endswith(".jsonl"):
            raise ValueError(f"{path}: a segment was closed during the test (midnight UTC?); run it again")
        with open(path, "rb") as segment:
            # A last line without its line feed is still being written, so it is not a record yet.
            records += [json.loads(item) for item in segment.read().split(b"\n")[:-1]]
    return records


def count_log(records):
    """By direction: records of messages, and records of lines that were none."""
    counts = {direction: collections.Counter(messages=0, unparsed=0) for direction in DIRECTIONS}
    for record in records:
        direction = record.get("direction")
        if direction is not None:
            kind = "unparsed" if record["type"] == "mcp_unparsed" else "messages"
            counts[direction][kind] += 1
    return counts


def open_intents(records):
    """Identifiers of intents that no outcome names."""
    ended = {record["ref"] for record in records if record.get("stage") == "outcome"}
    return [r["id"] for r in records if r.get("stage") == "intent" and r["id"] not in ended]
