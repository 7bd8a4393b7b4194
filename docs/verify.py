#!/usr/bin/env python3
"""Checks a Tachograph log, or one proof, by the log's verifier key: a second opinion, written to be read.

    verify.py --key VKEY DIRECTORY [--checkpoint KEPT]      a log (or a data directory, or a copy)
    verify.py --key VKEY --proof FILE [--record FILE]       a .tlog-proof, without a log

Python 3.9 or newer and nothing else; closed segments (.zst) need Python 3.14, the module zstandard or the
program zstd. Section numbers are those of docs/format.md. Exit codes: 0 nothing wrong, 1 tampered,
2 incomplete or unreadable, 3 wrong arguments. Not checked here: whether every call has an outcome (§9.6),
cosignatures of witnesses (§13), bodies kept as evidence (§14). A change of the signing key (§7) is not
followed: give the key that signed the newest checkpoint.
"""
import argparse, base64, hashlib, json, re, shutil, subprocess, sys
from functools import lru_cache, reduce
from pathlib import Path

TAMPERED, INCOMPLETE, findings = 1, 2, []                         # findings: (exit code, what)

def stop(what, code=3):
    sys.exit(print(f"verify.py: {what}", file=sys.stderr) or code)

def sha256(*parts): return hashlib.sha256(b"".join(parts)).digest()
def leaf(record): return sha256(b"\0", record)                    # §6
def node(left, right): return sha256(b"\1", left, right)

def unbase64(text, length=None):
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text or length not in (None, len(data)):
        raise ValueError("base64 of another length, or not in its one right form")
    return data

# Ed25519 (RFC 8032 §5.1), as plainly as it can be written: there is one signature to check.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P

def point(data):
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    x = x if (x * x - xx) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    if (x * x - xx) % P or y >= P or (x == 0 and sign):
        raise ValueError("the public key is no point of the curve")
    return (P - x if x & 1 != sign else x, y)

def add(a, b):
    (x1, y1), (x2, y2), inverse = a, b, lambda n: pow(n, P - 2, P)
    d = D * x1 * x2 * y1 * y2 % P
    return ((x1 * y2 + x2 * y1) * inverse(1 + d) % P, (y1 * y2 + x1 * x2) * inverse(1 - d) % P)

def times(n, a):
    result = (0, 1)
    while n:
        result, a, n = (add(result, a) if n & 1 else result), add(a, a), n >> 1
    return result

def signed(key, message, signature):
    (x, y), s = point(key), int.from_bytes(signature[32:], "little")
    small = times(8, (x, y)) == (0, 1)                            # such a key would "sign" anything
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    base = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    x, y = add(times(s, base), times(k, (P - x, y)))
    return not small and s < L and signature[:32] == (y | (x & 1) << 255).to_bytes(32, "little")

def read_key(given):                                              # §7: NAME+HEX8+BASE64(0x01 || key)
    try:
        text = given if "+" in given else Path(given).read_text()
        name, key_id, data = text.strip().split("+", 2)
        if unbase64(data, 33)[0] == 1 and sha256(f"{name}\n".encode(), unbase64(data))[:4].hex() == key_id:
            return name, bytes.fromhex(key_id), unbase64(data)[1:]
    except (ValueError, OSError):
        pass
    stop("--key is neither a verifier key nor a file with one")

def checkpoint(note, key):
    """Size and root of a signed checkpoint: C2SP signed-note and tlog-checkpoint (§7)."""
    (name, key_id, public), ours = key, 0
    text, _, signatures = note.decode().rpartition("\n\n")
    if not signatures.endswith("\n") or any(ord(c) < 32 and c != "\n" for c in text + signatures):
        raise ValueError("the checkpoint is not a text, an empty line, and signatures")
    for line in signatures[:-1].split("\n"):
        found = re.fullmatch("\u2014 ([^\\s+]+) (\\S+)", line)
        data = unbase64(found[2]) if found else b""
        if len(data) < 5:
            raise ValueError("a signature line of the checkpoint is malformed")
        if found[1] == name and data[:4] == key_id:
            ours += 1
            if len(data) != 68 or not signed(public, f"{text}\n".encode(), data[4:]):
                raise ValueError("the signature of the checkpoint is wrong")
    lines = text.split("\n")
    if len(lines) != 3 or not re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]) or int(lines[1]) >= 2**63:
        raise ValueError("the checkpoint is not three lines: origin, size, root")
    if lines[0] != name or not ours:
        raise ValueError("the checkpoint is of another log, or not signed by the key")
    return int(lines[1]), unbase64(lines[2], 32)

def check_proof(data, key, given):                                # C2SP tlog-proof, §12
    head, _, note = data.partition(b"\n\n")
    layout = re.fullmatch("c2sp.org/tlog-proof@v1\n(?:extra ([^\n]*)\n)?index (0|[1-9][0-9]{0,18})"
                          "((?:\n[^\n]+){0,63})", head.decode())
    if not layout:
        raise ValueError("not in the layout of a .tlog-proof")
    extra, index = None if layout[1] is None else unbase64(layout[1]), int(layout[2])
    hashes = [unbase64(line, 32) for line in layout[3].split("\n")[1:]]
    size, root = checkpoint(note, key)
    if None not in (given, extra) and given != extra:
        raise ValueError("the record in the proof is not the one that was given")
    record = extra if given is None else given
    if record is None:
        return findings.append((INCOMPLETE, "the proof does not bring its record; give it with --record"))
    found, at, last = leaf(record), index, size - 1               # RFC 9162 §2.1.3.2
    for sibling in hashes:
        if last <= 0:
            raise ValueError("the proof is too long")
        found = node(sibling, found) if at & 1 or at == last else node(found, sibling)
        while at == last and at & 1 == 0 and at:
            at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
    if index >= size or last != 0 or found != root or seq_of(record) != index:
        raise ValueError("the proof does not lead from a record of that place to the root")
    print(f"ok: record {index} of {size} in {key[0]}\n{record.decode()}")

def seq_of(line):                                                 # §3: v and seq come first
    head = re.match(rb'\{"v":1,"seq":(0|[1-9][0-9]{0,19}),', line)
    try:
        whole = head and line.endswith(b"}") and len(line) <= 65535 and type(json.loads(line)) is dict
    except ValueError:
        whole = False
    return int(head[1]) if whole else None

def unzst(data):
    try:
        from compression import zstd
        return zstd.decompress(data)
    except ImportError:
        pass
    if shutil.which("zstd"):
        done = subprocess.run(["zstd", "-dcq", "-M8MB"], input=data, capture_output=True)
        return done.stdout + (b"" if done.returncode == 0 else b"damaged")
    try:
        import zstandard
        return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
    except ImportError:
        stop("a .zst segment needs Python 3.14, the module zstandard or the program zstd", INCOMPLETE)

def segments(log):                                                # §2, §15: .jsonl before .zst before .age
    name, found = r"(\d{4}-\d\d-\d\d-\d{3})(?:\.jsonl(?:\.zst)?|\.(\d+)-(\d+)\.jsonl\.zst\.age)", {}
    for path in sorted((log / "segments").glob("*"), key=lambda path: (path.suffix == ".age", path.name)):
        match = re.fullmatch(name, path.name)
        if match:
            found.setdefault(match[1], (path, match[2] and (int(match[2]), int(match[3]))))
    return [found[name] for name in sorted(found)]

def check_log(log, key, kept):                                    # §9
    size, root = checkpoint((log / "checkpoint").read_bytes(), key)
    first = log / "minimum-index"                                 # §15: the tree below it is in the tiles
    minimum = int(first.read_text()) if first.exists() else 0
    leaves, told = [tile_leaf(log, seq, size) for seq in range(min(minimum, size))], minimum == 0
    found = segments(log)
    for path, encrypted in found:
        if encrypted and encrypted[0] == len(leaves) < encrypted[1] <= size:
            leaves += [tile_leaf(log, seq, size) for seq in range(*encrypted)]
            print(f"{path.name} is encrypted: its hashes are taken from the tiles")
            continue
        data = unzst(path.read_bytes()) if path.suffix == ".zst" else path.read_bytes()
        for line in (data if data.endswith(b"\n") or not data else data + b"\n").split(b"\n")[:-1]:
            seq = seq_of(line)
            if seq is not None and seq < minimum == len(leaves):
                continue                                          # a removal that a crash interrupted
            if seq != len(leaves):
                torn = len(leaves) >= size and path == found[-1][0]
                what = f"{path.name}: record {len(leaves)} is not there, or is no record"
                findings.append((INCOMPLETE if torn else TAMPERED, what))
                break
            if b'"retention_pruned"' in line and seq < size:
                told = told or json.loads(line).get("details", {}).get("to") == minimum
            leaves.append(leaf(line))
    if not told:
        findings.append((TAMPERED, f"no sealed record tells of the removal of what is before {minimum}"))
    for what, (at, expected) in [("checkpoint", (size, root)), ("kept checkpoint", kept or (size, root))]:
        if at > min(size, len(leaves)):
            findings.append((TAMPERED, f"the {what} covers {at} records; there are {min(size, len(leaves))}"))
        elif tree(leaves[:at], log if what == "checkpoint" else None) != expected:
            findings.append((TAMPERED, f"the records do not give the root of the {what}"))
    print(f"{len(leaves)} records, {size} under the signed checkpoint of {key[0]}")

@lru_cache(maxsize=4)
def read_tile(log, level, index, size):                           # §6
    width, number, groups = min((size >> 8 * level) - 256 * index, 256), index // 1000, f"{index % 1000:03d}"
    while number:
        number, groups = number // 1000, f"x{number % 1000:03d}/{groups}"
    path = f"tile/{level}/{groups}" + (f".p/{width}" if width < 256 else "")
    try:
        return path, (log / path).read_bytes()
    except OSError as error:
        return findings.append((INCOMPLETE, f"{path}: {error.strerror}")) or path, None

def tile_leaf(log, seq, size):
    return (read_tile(log, 0, seq // 256, size)[1] or b"")[seq % 256 * 32:][:32]

def tree(nodes, log):
    """The root over the leaves (RFC 6962 §2.1); every eighth level is compared with its tiles."""
    level, peaks, size = 0, [], len(nodes)
    while nodes:
        for at in range(0, len(nodes), 256) if log and level % 8 == 0 else []:
            path, data = read_tile(log, level // 8, at // 256, size)
            if data is not None and data != b"".join(nodes[at:at + 256]):
                findings.append((TAMPERED, f"{path} does not hold the hashes of the records"))
        peaks += nodes[-1:] if len(nodes) % 2 else []
        nodes = [node(nodes[at], nodes[at + 1]) for at in range(0, len(nodes) - 1, 2)]
        level += 1
    return reduce(lambda right, left: node(left, right), peaks) if peaks else sha256()

def contents(name):
    try:
        return Path(name).read_bytes()
    except OSError as error:
        stop(f"cannot read {name}: {error.strerror}")

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.error = stop
    parser.add_argument("directory", nargs="?", type=Path)
    parser.add_argument("--key", required=True, type=read_key)
    for name in ("--checkpoint", "--proof", "--record"):
        parser.add_argument(name, type=contents)
    given = parser.parse_args()
    if bool(given.directory) == bool(given.proof) or (given.checkpoint if given.proof else given.record):
        stop("give a directory, or --proof FILE")
    try:
        if given.proof:
            record = given.record and re.sub(b"\n$", b"", given.record)
            check_proof(given.proof, given.key, record)
        else:
            log = given.directory / "log" if (given.directory / "log").is_dir() else given.directory
            check_log(log, given.key, given.checkpoint and checkpoint(given.checkpoint, given.key))
    except (ValueError, OSError) as error:
        unread = isinstance(error, OSError) and not str(error.filename).endswith("/checkpoint")
        findings.append((INCOMPLETE if unread else TAMPERED, str(error)))
    for code, what in findings:
        print(f"{'TAMPERED' if code == TAMPERED else 'incomplete'}: {what}")
    return min((code for code, _ in findings), default=0)

if __name__ == "__main__":
    sys.exit(main())
