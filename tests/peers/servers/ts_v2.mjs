// A small server on the TypeScript SDK v2, which speaks both protocol generations.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// The packages lie in a cache outside the clone, so they are resolved from the directory given.
const require = createRequire(pathToFileURL(process.argv[2] + "/"));
const { McpServer } = require("@modelcontextprotocol/server");
const { serveStdio } = require("@modelcontextprotocol/server/stdio");
const { z } = require("zod");

const text = (value) => ({ content: [{ type: "text", text: value }] });

serveStdio(() => {
  const server = new McpServer({ name: "peer-ts-v2", version: "1.0.0" });
  server.registerTool("echo", { inputSchema: z.object({ text: z.string() }) }, ({ text: value }) => text(value));
  server.registerTool("add", { inputSchema: z.object({ a: z.number(), b: z.number() }) }, ({ a, b }) =>
    text(String(a + b)),
  );
  server.registerTool("fail", {}, () => {
    throw new Error("this tool always fails");
  });
  server.registerTool("leave", { inputSchema: z.object({ code: z.number() }) }, ({ code }) => process.exit(code));
  server.registerResource("note", "note://one", { mimeType: "text/plain" }, (uri) => ({
    contents: [{ uri: uri.href, text: "the only note" }],
  }));
  server.registerPrompt("greet", { argsSchema: z.object({ name: z.string() }) }, ({ name }) => ({
    messages: [{ role: "user", content: { type: "text", text: `Greet ${name}.` } }],
  }));
  return server;
});
console.error("peer-ts-v2 is up");
