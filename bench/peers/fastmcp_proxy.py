"""FastMCP as a stdio proxy in front of a stdio server: the peer of bar B2."""

import sys

from fastmcp.server import create_proxy
from fastmcp.client.transports import StdioTransport

transport = StdioTransport(command=sys.argv[1], args=sys.argv[2:])
create_proxy(transport, name="peer").run(show_banner=False)
