//! The MCP servers that Tachograph ships, built on `rmcp`. They know nothing of the proxy: they are
//! recorded as any other server is.

pub mod demo_server;
