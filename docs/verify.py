#!/usr/bin/env python3
"""Checks a Tachograph log, or one proof, by the log's verifier key: a second opinion, written to be read.

    verify.py --key VKEY DIRECTORY [--checkpoint KEPT]      a log (or a data directory, or a copy)
    verify.py --key VKEY --proof FILE [--record FILE]       a .tlog-proof, without a log

Python 3.9 or newer and nothing else, but for .zst segments Python 3.14 or the program zstd. Exit codes: 0 nothing
wrong, 1 tampered, 2 incomplete or unreadable, 3 wrong arguments. Sections (§) are those of docs/format.md. Not
checked: whether each call has an outcome (§9.6), witnesses (§13), kept bodies (§14), earlier signing keys (§7).
"""
import argparse, base64, functools, hashlib, json, re, subprocess, sys
from pathlib import Path

TAMPERED, INCOMPLETE, findings = 1, 2, []                         # findings: (exit code, what)

def demand(holds, otherwise):
    if not holds:
        raise ValueError(otherwise)
def sha256(*parts): return hashlib.sha256(b"".join(parts)).digest()
def leaf(record): return sha256(b"\0", record)                    # §6
def node(left, right): return sha256(b"\1", left, right)

def unbase64(text, length=None):
    data = base64.b64decode(text, validate=True)
    demand(base64.b64encode(data).decode() == text and length in (None, len(data)), "malformed base64")
    return data

# Ed25519 (RFC 8032 §5.1), as plainly as it can be written: there is one signature to check.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

def point(data):
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    xx = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(xx, (P + 3) // 8, P)
    x = x if x * x % P == xx else x * pow(2, (P - 1) // 4, P) % P
    demand(x * x % P == xx and y < P and (x or not sign), "the public key is no point of the curve")
    return (P - x if x & 1 != sign else x, y)

def add(a, b):
    (x1, y1), (x2, y2) = a, b
    d = D * x1 * x2 * y1 * y2
    return ((x1 * y2 + x2 * y1) * pow(1 + d, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - d, -1, P) % P)
def times(n, a):
    rest = times(n >> 1, add(a, a)) if n else (0, 1)
    return add(rest, a) if n & 1 else rest

def signed(key, message, signature):
    (x, y), s = point(key), int.from_bytes(signature[32:], "little")
    demand(times(8, (x, y)) != (0, 1), "by the public key, anything would be signed")
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    base = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    x, y = add(times(s, base), times(k, (P - x, y)))
    return len(signature) == 64 and s < L and signature[:32] == (y | (x & 1) << 255).to_bytes(32, "little")

def read_key(given):                                              # §7: NAME+HEX8+BASE64(0x01 || key)
    name, key_id, data = (given if "+" in given else Path(given).read_text()).strip().split("+", 2)
    key = unbase64(data, 33)
    demand(key[0] == 1 and sha256(f"{name}\n".encode(), key)[:4].hex() == key_id, "its hash is another one")
    return name, bytes.fromhex(key_id), key[1:]

def checkpoint(note, key):                                        # §7, C2SP signed-note and tlog-checkpoint
    form = re.fullmatch("([^\0-\x1f]+)\n(0|[1-9][0-9]{0,18})\n([^\0-\x1f]+)\n\n"
                        "((?:\u2014 [^\\s+\0-\x1f]+ [^\\s\0-\x1f]+\n)+)", note)
    demand(form and int(form[2]) < 2**63, "the checkpoint is not origin, size, root and signatures")
    (origin, size, root, lines), (name, key_id, public) = form.groups(), key
    signatures = [(line.split(" ")[1], unbase64(line.split(" ")[2])) for line in lines.split("\n")[:-1]]
    demand(all(len(data) > 4 for _, data in signatures), "a signature of the checkpoint is malformed")
    ours = [data[4:] for signer, data in signatures if signer == name and data[:4] == key_id]
    demand(origin == name and ours, "the checkpoint is of another log, or not signed by the key")
    text = f"{origin}\n{size}\n{root}\n".encode()
    demand(all(signed(public, text, data) for data in ours), "the signature of the checkpoint is wrong")
    return int(size), unbase64(root, 32)

def check_proof(data, key, given):                                # §12, C2SP tlog-proof
    head, _, note = data.partition("\n\n")
    form = re.fullmatch("c2sp.org/tlog-proof@v1\n(?:extra (.*)\n)?index (0|[1-9][0-9]{0,18})((?:\n.+){0,63})", head)
    demand(form, "not in the layout of a .tlog-proof")
    extra, index = None if form[1] is None else unbase64(form[1]), int(form[2])
    hashes = [unbase64(line, 32) for line in form[3].split("\n")[1:]]
    size, root = checkpoint(note, key)
    record = extra if given is None else given
    if record is None:
        return findings.append((INCOMPLETE, "the proof does not bring its record; give it with --record"))
    demand(extra in (None, record), "the record in the proof is not the one that was given")
    demand(index < size and seq_of(record) == index, "the record is not of the place that the proof is for")
    demand(climb(leaf(record), index, size, hashes) == root, "the proof does not lead to the root")
    print(f"ok: record {index} of {size} in {key[0]}\n{record.decode()}")

def climb(start, index, size, hashes):                            # RFC 6962 §2.1.1, from the top down
    if size == 1 or not hashes:
        return start if size == 1 and not hashes else b"too long or too short"
    half = 1 << (size - 1).bit_length() - 1
    if index < half:
        return node(climb(start, index, half, hashes[:-1]), hashes[-1])
    return node(hashes[-1], climb(start, index - half, size - half, hashes[:-1]))

def seq_of(line):                                                 # §3: v and seq come first
    head = re.fullmatch(rb'\{"v":1,"seq":(0|[1-9][0-9]{0,19}),.*\}', line)
    try:
        json.loads(line, parse_int=float)                         # a number may be longer than Python's
    except (ValueError, RecursionError):
        return None
    return int(head[1]) if head and len(line) <= 65535 else None

def unzst(data):
    try:
        from compression import zstd                              # since Python 3.14
        return zstd.decompress(data)
    except ImportError:
        done = subprocess.run(["zstd", "-dcq", "-M8MB"], input=data, capture_output=True)
        return done.stdout + (b"" if done.returncode == 0 else b"damaged")

def segments(log):                                                # §2, §15: path, and for .age what it holds
    found = {}
    for end in (r"\.jsonl", r"\.jsonl\.zst", r"\.(\d+)-(\d+)\.jsonl\.zst\.age"):
        for path in (log / "segments").glob("*"):
            if match := re.fullmatch(r"(\d{4}-\d\d-\d\d-\d{3})" + end, path.name):
                found.setdefault(match[1], (path, [int(number) for number in match.groups()[1:]]))
    return [found[name] for name in sorted(found)]

def check_log(log, key, kept):                                    # §9
    demand((log / "checkpoint").exists(), "there is no checkpoint")
    size, root = checkpoint((log / "checkpoint").read_bytes().decode(), key)
    first = log / "minimum-index"                                 # §15: the tree below it is in the tiles
    minimum = int(first.read_text()) if first.exists() else 0
    leaves, told = tile_leaves(log, 0, min(minimum, size), size), minimum == 0
    found = segments(log)
    for path, held in found:
        if held and held[0] == len(leaves) < held[1] <= size:
            leaves += tile_leaves(log, *held, size)
            print(f"{path.name} is encrypted: its hashes are taken from the tiles")
            continue
        data = unzst(path.read_bytes()) if path.suffix == ".zst" else path.read_bytes()
        for line in data.removesuffix(b"\n").split(b"\n") if data else []:
            seq = seq_of(line)
            if seq is not None and seq < minimum == len(leaves):
                continue                                          # a removal that a crash interrupted
            if seq != len(leaves):
                torn = len(leaves) >= size and path == found[-1][0]
                findings.append((INCOMPLETE if torn else TAMPERED, f"{path.name}: no record {len(leaves)}"))
                break
            event = json.loads(line, parse_int=float) if b'"retention_pruned"' in line and seq < size else {}
            told = told or event.get("type") == "retention_pruned" and event["details"]["to"] == minimum
            leaves.append(leaf(line))
    if not told:
        findings.append((TAMPERED, f"no sealed record tells of the removal of what is before {minimum}"))
    for what, (at, expected) in [("checkpoint", (size, root)), ("kept checkpoint", kept or (0, sha256()))]:
        if at > min(size, len(leaves)):
            findings.append((TAMPERED, f"the {what} covers {at} records; there are {min(size, len(leaves))}"))
        elif tree(leaves[:at], log if what == "checkpoint" else None) != expected:
            findings.append((TAMPERED, f"the records do not give the root of the {what}"))
    print(f"{len(leaves)} records, {size} under the signed checkpoint of {key[0]}")

@functools.lru_cache(maxsize=4)
def read_tile(log, level, index, size):                           # §6
    width, (*high, low) = min((size >> 8 * level) - 256 * index, 256), f"{index:,}".split(",")
    groups = [f"x{group:0>3}" for group in high] + [f"{low:0>3}"]
    tile = log / "tile" / str(level) / ("/".join(groups) + (f".p/{width}" if width < 256 else ""))
    if tile.exists():
        return tile.read_bytes()
    findings.append((INCOMPLETE, f"{tile} is missing"))
def tile_leaves(log, first, end, size):
    return [(read_tile(log, 0, seq // 256, size) or b"")[seq % 256 * 32:][:32] for seq in range(first, end)]

def tree(nodes, log):                                             # RFC 6962 §2.1
    size = len(nodes)
    for level in range(64):
        for at in range(0, size >> level, 256) if log and level % 8 == 0 else []:
            tile = read_tile(log, level // 8, at // 256, size)    # holds the complete subtrees only
            if tile not in (None, b"".join(nodes[at:at + 256][:(size >> level) - at])):
                findings.append((TAMPERED, f"tile {at // 256} of level {level // 8} is not of the records"))
        last = nodes[len(nodes) // 2 * 2:]                        # without a neighbour it moves up
        nodes = [node(nodes[at], nodes[at + 1]) for at in range(0, len(nodes) - 1, 2)] + last
    return nodes[0] if nodes else sha256()

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.error = lambda what: parser.exit(3, f"verify.py: {what}\n")
parser.add_argument("directory", nargs="?", type=Path)
for option in ("--key", "--checkpoint", "--proof", "--record"):
    parser.add_argument(option, required=option == "--key")
given = parser.parse_args()
if bool(given.directory) == bool(given.proof) or (given.checkpoint if given.proof else given.record):
    parser.error("give a directory, or --proof FILE")
try:
    key, files = read_key(given.key), (given.checkpoint, given.proof, given.record)
    kept, proof, record = (file and Path(file).read_bytes() for file in files)
except (ValueError, OSError) as error:
    parser.error(f"no verifier key, or a file that cannot be read: {error}")
try:
    if given.proof:
        check_proof(proof.decode(), key, record and record.removesuffix(b"\n"))
    else:
        log = given.directory / "log" if (given.directory / "log").is_dir() else given.directory
        check_log(log, key, None if kept is None else checkpoint(kept.decode(), key))
except Exception as error:                                        # what nobody can make sense of is not in order
    findings.append((INCOMPLETE if isinstance(error, OSError) else TAMPERED, f"{error}"))
for code, what in findings:
    print(f"{'TAMPERED' if code == TAMPERED else 'incomplete'}: {what}")
sys.exit(min((code for code, _ in findings), default=0))
