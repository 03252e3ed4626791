// MCP's SDK for TypeScript against an endpoint, by Streamable HTTP and by HTTP+SSE, told as JSON. JAVASCRIPT_CLIENTS is the
// folder in which it is installed; the argument is its package: @modelcontextprotocol/sdk (version 1) or /client (version 2).
import { createRequire } from "node:module";

const require = createRequire(`${process.env.JAVASCRIPT_CLIENTS}/`);
const load = (name, path) => require(process.argv[2].endsWith("/sdk") ? `@modelcontextprotocol/sdk/client/${path}` : process.argv[2])[name];
const Client = load("Client", "index.js");
const transports = {
  streamable: [load("StreamableHTTPClientTransport", "streamableHttp.js"), "/mcp"],
  sse: [load("SSEClientTransport", "sse.js"), "/sse"],
};
const requestInit = { headers: { Authorization: `Bearer ${process.env.OPENAI_API_KEY}` } };
const told = {};
for (const [name, [Transport, path]] of Object.entries(transports)) {
  const transport = new Transport(new URL(process.env.MCP_URL + path), { requestInit });
  const client = new Client({ name: "tests", version: "1" });
  await client.connect(transport);
  const [tool] = (await client.listTools()).tools;
  let progress = "";
  const options = { onprogress: (notification) => (progress += notification.message) };
  const call = { name: tool.name, arguments: { task: "hello" } };
  const schema = process.argv[2].endsWith("/sdk") ? [undefined] : [];
  const answer = await client.callTool(call, ...schema, options);
  told[name] = { tool: tool.name, text: answer.content[0].text, progress };
  await client.close();
}
console.log(JSON.stringify(told));
