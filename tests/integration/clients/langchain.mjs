// LangChain's ChatOpenAI against an endpoint: a chat, a stream and a task with tools, by chat completions and by the Responses
// API, told as JSON. JAVASCRIPT_CLIENTS is the folder in which it is installed.
import { createRequire } from "node:module";

const require = createRequire(`${process.env.JAVASCRIPT_CLIENTS}/`);
const { ChatOpenAI } = require("@langchain/openai");
const { HumanMessage, ToolMessage } = require("@langchain/core/messages");
const { tool } = require("@langchain/core/tools");
const { z } = require("zod");

const configuration = { baseURL: process.env.OPENAI_BASE_URL };
const tools = {
  get_weather: tool(({ city }) => `Sunny in ${city}`, {
    name: "get_weather",
    description: "The weather in a city.",
    schema: z.object({ city: z.string() }),
  }),
  get_time: tool(() => "noon", { name: "get_time", description: "The time.", schema: z.object({}) }),
};
const told = {};
for (const [name, useResponsesApi] of Object.entries({ chat: false, responses: true })) {
  const options = { configuration, useResponsesApi, maxRetries: 0 };
  const model = new ChatOpenAI({ ...options, model: "default" });
  const whole = await model.invoke("hello");
  let streamed = "";
  for await (const piece of await model.stream("hello")) streamed += piece.text;
  const able = new ChatOpenAI({ ...options, model: "tools" }).bindTools(Object.values(tools));
  const asked = [new HumanMessage("What is the weather?")];
  const calling = await able.invoke(asked);
  const results = [];
  for (const call of calling.tool_calls) {
    const content = await tools[call.name].invoke(call.args);
    results.push(new ToolMessage({ content, tool_call_id: call.id }));
  }
  const final = await able.invoke([...asked, calling, ...results]);
  told[name] = {
    text: whole.text,
    tokens: whole.usage_metadata.total_tokens,
    streamed,
    results: results.map((result) => result.text),
    final: final.text,
  };
}
console.log(JSON.stringify(told));
