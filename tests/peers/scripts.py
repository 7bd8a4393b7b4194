"""What is said to each server. A script is played direct and through the recorder, so it must be the same twice:
it calls what answers the same each time, and what cannot is named in `varying` (JSON members whose values differ).
"""

import dataclasses
import os
import signal
import subprocess
from collections.abc import Callable

import install
import secret

HERE = os.path.dirname(os.path.abspath(__file__))
BOTH = ("legacy", "modern")
# A server of the first generation: probed for the second as clients do by default, then initialised.
FIRST = ("legacy", "fallback")


@dataclasses.dataclass(frozen=True)
class Server:
    name: str
    command: Callable  # (cache, workspace) -> arguments
    script: Callable  # (session, workspace)
    eras: tuple = BOTH
    env: Callable = lambda workspace: {}
    prepare: Callable = lambda workspace: None
    answers: Callable = lambda workspace: {}
    capabilities: dict = dataclasses.field(default_factory=dict)
    varying: tuple = ()
    # Answers to a burst may come in another order each time.
    any_order: bool = False
    # How it ends: `eof`, the client closes standard input; `term`, and then sends SIGTERM; `exit`, by itself.
    ending: str = "eof"
    exit_status: int = 0


# ---- what every server is told


def opening(session, era):
    if era in ("modern", "fallback"):
        is_modern = session.open_modern()
        assert is_modern == (era == "modern"), f"the server's generation is not {era}"
    if not session.modern:
        session.open_legacy()
    if "roots" in session.capabilities:
        # The server asks for the roots 350 ms after `initialized`: waiting keeps the order the same twice.
        session.wait_for_request("roots/list")
        session.wait_for_notification("notifications/message")


def everyday(session):
    """Lists, errors of each layer, cancellation, and a secret: any client sends these to any server."""
    session.request("tools/list")
    session.request("resources/list")
    session.request("resources/templates/list")
    session.request("prompts/list")
    session.request("ping")
    session.request("ping", request_id="a-string")
    session.request("ping", request_id=2**53 - 1)
    session.request("tachograph/unknown", {"password": secret.PASSWORD, "note": "Bearer " + secret.jwt()})
    session.call("no_such_tool", {"token": secret.PASSWORD})
    session.notify("notifications/cancelled", {"requestId": 4711, "reason": "nothing of that number is open"})
    session.notify("notifications/tachograph_unknown", {"ä": "ö", "emoji": "\N{GRINNING FACE}"})
    session.burst([session.message("tools/list") for _ in range(8)])


def odd_lines(session):
    """What is not a message still has to arrive as it was sent."""
    session.raw(b"\n")
    session.request("tools/list")
    session.raw(b"this is not JSON\n")
    session.request("tools/list")
    session.raw(b'[{"jsonrpc":"2.0","id":"b1","method":"ping"},{"jsonrpc":"2.0","id":"b2","method":"ping"}]\n')
    session.request("tools/list")
    # White space and member order that no library would write, and a CR before the LF.
    session.raw(b'  {"method" : "tools/list", "id":"crlf",\t"jsonrpc": "2.0"%s}\r\n' % modern_params(session))
    session.wait_for_answer("crlf")
    session.split(session.message("tools/list"))


def modern_params(session):
    import json

    return b', "params" : ' + json.dumps({"_meta": session.meta({})}).encode() if session.modern else b""


# ---- one script for each server


def everything(session, _workspace):
    session.call("echo", {"message": "hello"})
    session.call("echo", {"message": "long " * 200_000})
    session.call("echo", {})
    session.call("get-sum", {"a": 2, "b": 3})
    session.call("get-env")
    session.call("get-tiny-image")
    session.call("get-structured-content", {"location": "Chicago"})
    session.call("get-annotated-message", {"messageType": "error", "includeImage": True})
    session.call("trigger-long-running-operation", {"duration": 0.3, "steps": 3}, _meta={"progressToken": "p-1"})
    session.call("trigger-sampling-request", {"prompt": "say something", "maxTokens": 5})
    session.call("trigger-elicitation-request")
    session.request("resources/read", {"uri": "demo://resource/static/document/features.md"})
    session.request("resources/read", {"uri": "demo://nowhere"})
    session.request("prompts/get", {"name": "args-prompt", "arguments": {"city": "Berlin"}})
    session.request("prompts/get", {"name": "simple-prompt"})
    session.request(
        "completion/complete",
        {
            "ref": {"type": "ref/prompt", "name": "completable-prompt"},
            "argument": {"name": "department", "value": "E"},
        },
    )
    session.request("logging/setLevel", {"level": "warning"})
    session.request("resources/subscribe", {"uri": "demo://resource/dynamic/text/1"})
    session.request("resources/unsubscribe", {"uri": "demo://resource/dynamic/text/1"})
    # A cancelled call gets no answer: the next request shows that the connection is alive.
    slow = session.message("tools/call", {"name": "trigger-long-running-operation", "arguments": {"duration": 0.5, "steps": 1}}, "slow")
    session.raw(encoded(slow))
    session.notify("notifications/cancelled", {"requestId": "slow", "reason": "changed my mind"})
    session.request("ping")
    a_task(session)


def a_task(session):
    """A task of the 2025-11-25 revision: started, asked after, waited for.

    Until its time to live is over, five minutes, this server does not end by itself: hence `ending="term"`.
    """
    started = session.call("simulate-research-query", {"topic": "flight recorders"}, task={"ttl": 60_000})
    task = {"taskId": started["result"]["task"]["taskId"]}
    session.request("tasks/get", task)
    session.request("tasks/result", task)


def encoded(message):
    from session import line

    return line(message)


def filesystem(session, workspace):
    inside = lambda name: os.path.join(workspace, name)
    session.call("list_allowed_directories")
    session.call("write_file", {"path": inside("one.txt"), "content": "first line\nsecond line\n"})
    session.call("read_text_file", {"path": inside("one.txt")})
    session.call("edit_file", {"path": inside("one.txt"), "edits": [{"oldText": "first", "newText": "1st"}]})
    session.call("read_text_file", {"path": inside("missing.txt")})
    session.call("read_text_file", {"path": "/etc/hostname"})
    session.call("create_directory", {"path": inside("sub")})
    session.call("move_file", {"source": inside("one.txt"), "destination": inside("sub/two.txt")})
    session.call("directory_tree", {"path": workspace})
    session.call("search_files", {"path": workspace, "pattern": "**/*.txt"})


def memory(session, _workspace):
    entity = {"name": "Ada", "entityType": "person", "observations": ["wrote the first programme"]}
    session.call("create_entities", {"entities": [entity]})
    session.call("create_relations", {"relations": [{"from": "Ada", "to": "Engine", "relationType": "describes"}]})
    session.call("add_observations", {"observations": [{"entityName": "Nobody", "contents": ["?"]}]})
    session.call("search_nodes", {"query": "first"})
    session.call("read_graph")
    session.request("resources/read", {"uri": "memory://nowhere"})
    session.call("delete_entities", {"entityNames": ["Ada"]})


def thinking(session, _workspace):
    for number in (1, 2, 3):
        thought = {"thought": f"thought {number}", "thoughtNumber": number, "totalThoughts": 3}
        session.call("sequentialthinking", {**thought, "nextThoughtNeeded": number < 3})
    session.call("sequentialthinking", {"thought": "no numbers"})


def git(session, workspace):
    repo = {"repo_path": workspace}
    session.call("git_status", repo)
    session.call("git_log", repo)
    session.call("git_diff_unstaged", repo)
    session.call("git_add", {**repo, "files": ["changed.txt"]})
    session.call("git_diff_staged", repo)
    session.call("git_commit", {**repo, "message": "Second commit"})
    session.call("git_show", {**repo, "revision": "HEAD"})
    session.call("git_checkout", {**repo, "branch_name": "no-such-branch"})
    session.call("git_status", {"repo_path": workspace + "/nowhere"})


def prepare_git(workspace):
    run = lambda *words: subprocess.run(["git", *words], cwd=workspace, check=True, env={**os.environ, **git_env(workspace)})
    run("init", "--quiet", "--initial-branch=main")
    write(workspace, "changed.txt", "one\n")
    run("add", "changed.txt")
    run("commit", "--quiet", "--message=First commit")
    write(workspace, "changed.txt", "one\ntwo\n")


def git_env(workspace):
    # Fixed names and dates give the same commit ids twice.
    who = {"NAME": "Peers Test", "EMAIL": "peers@example.org", "DATE": "2026-01-02T03:04:05Z"}
    people = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    return {**people, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def write(workspace, name, text):
    with open(os.path.join(workspace, name), "w", encoding="utf-8") as file:
        file.write(text)


def clock(session, _workspace):
    session.call("get_current_time", {"timezone": "Europe/Berlin"})
    session.call("convert_time", {"source_timezone": "UTC", "time": "12:30", "target_timezone": "Asia/Tokyo"})
    session.call("get_current_time", {"timezone": "Nowhere/Atlantis"})


def fetch(session, _workspace):
    # Port 1 of this machine: refused at once, and no network is needed.
    session.call("fetch", {"url": "http://127.0.0.1:1/"})
    session.call("fetch", {"url": "not a url"})
    session.request("prompts/get", {"name": "fetch", "arguments": {"url": "http://127.0.0.1:1/"}})


def sqlite(session, _workspace):
    session.call("create_table", {"query": "CREATE TABLE people (name TEXT, age INTEGER)"})
    session.call("write_query", {"query": "INSERT INTO people VALUES ('Ada', 36), ('Grace', 85)"})
    session.call("read_query", {"query": "SELECT name, age FROM people ORDER BY age"})
    session.call("read_query", {"query": "SELECT nothing FROM nowhere"})
    session.call("list_tables")
    session.call("append_insight", {"insight": "Two people."})
    session.request("resources/read", {"uri": "memo://insights"})
    session.request("prompts/get", {"name": "mcp-demo", "arguments": {"topic": "people"}})


def ours(session, _workspace):
    """The three servers in `servers/`, which are alike but for the library under them."""
    session.call("echo", {"text": "hello"})
    session.call("echo", {"text": "\N{GRINNING FACE} ü \u2028 \x7f " * 40_000})
    session.call("add", {"a": 2, "b": 3})
    session.call("add", {"a": "two", "b": None})
    session.call("fail")
    session.call("count", {"steps": 3}, _meta={"progressToken": 7})
    session.request("resources/read", {"uri": "note://one"})
    session.request("resources/read", {"uri": "note://none"})
    session.request("prompts/get", {"name": "greet", "arguments": {"name": "Ada"}})
    session.burst([session.message("tools/call", {"name": "add", "arguments": {"a": n, "b": n}}) for n in range(32)])
    # The server ends in the middle of this call, with a status of its own.
    session.raw(encoded(session.message("tools/call", {"name": "leave", "arguments": {"code": 7}})))


# ---- the servers


def npm(package, *arguments):
    def command(cache, workspace):
        words = [word.format(workspace=workspace) for word in arguments]
        return [install.node(cache), os.path.join(install.node_package(cache, package), "dist", "index.js"), *words]

    return command


def pypi(environment, *arguments):
    def command(cache, workspace):
        return [install.python(cache, environment), *(word.format(workspace=workspace, here=HERE) for word in arguments)]

    return command


SERVERS = (
    Server(
        "everything",
        npm("@modelcontextprotocol/server-everything", "stdio"),
        everything,
        FIRST,
        capabilities={"roots": {"listChanged": True}, "sampling": {}, "elicitation": {}, "tasks": {}},
        answers=lambda workspace: {
            "roots/list": {"roots": [{"uri": f"file://{workspace}", "name": "workspace"}]},
            "sampling/createMessage": {"role": "assistant", "model": "none", "content": {"type": "text", "text": "something"}},
            "elicitation/create": {"action": "decline"},
        },
        varying=("taskId", "createdAt", "lastUpdatedAt"),
        ending="term",
        exit_status=128 + signal.SIGTERM,
    ),
    Server("filesystem", npm("@modelcontextprotocol/server-filesystem", "{workspace}"), filesystem, FIRST),
    Server(
        "memory",
        npm("@modelcontextprotocol/server-memory"),
        memory,
        FIRST,
        env=lambda workspace: {"MEMORY_FILE_PATH": os.path.join(workspace, "memory.jsonl")},
    ),
    Server("sequential-thinking", npm("@modelcontextprotocol/server-sequential-thinking"), thinking, FIRST),
    Server(
        "ts-sdk-2",
        lambda cache, _: [install.node(cache), os.path.join(HERE, "servers", "ts_v2.mjs"), os.path.join(cache, "node")],
        ours,
        any_order=True,
        ending="exit",
        exit_status=7,
    ),
    Server("git", pypi("mcp2", "-m", "mcp_server_git"), git, env=git_env, prepare=prepare_git),
    Server("time", pypi("mcp2", "-m", "mcp_server_time"), clock, varying=("datetime",)),
    Server("fetch", pypi("mcp2", "-m", "mcp_server_fetch"), fetch),
    Server("sqlite", pypi("mcp1", "-c", "import mcp_server_sqlite; mcp_server_sqlite.main()", "--db-path", "{workspace}/people.db"), sqlite, FIRST),
    Server("python-mcp", pypi("mcp2", "{here}/servers/python_mcp.py"), ours, any_order=True, ending="exit", exit_status=7),
    Server("fastmcp", pypi("mcp2", "{here}/servers/fastmcp_server.py"), ours, any_order=True, ending="exit", exit_status=7),
)
