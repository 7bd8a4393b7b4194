"""A small server on the Python SDK (`mcp` 2), which speaks both protocol generations."""

import os
import sys

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("peer-python-mcp")


@server.tool()
def echo(text: str) -> str:
    """Give the text back."""
    return text


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
async def count(steps: int, ctx: Context) -> str:
    """Report progress, then answer."""
    for step in range(steps):
        await ctx.report_progress(step + 1, steps)
    return f"{steps} steps"


@server.tool()
def fail() -> str:
    """Always fail."""
    raise ValueError("this tool always fails")


@server.tool()
def leave(code: int) -> str:
    """End the process in the middle of a call."""
    os._exit(code)


@server.resource("note://one")
def note() -> str:
    """The only note."""
    return "the only note"


@server.prompt()
def greet(name: str) -> str:
    """Greet somebody."""
    return f"Greet {name}."


if __name__ == "__main__":
    print("peer-python-mcp is up", file=sys.stderr, flush=True)
    server.run("stdio")
