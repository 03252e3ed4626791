// Vercel's AI SDK against an endpoint: a chat, a stream and a task with a tool, by the OpenAI provider (Responses API and chat
// completions) and by the OpenAI-compatible one, told as JSON. JAVASCRIPT_CLIENTS is the folder in which it is installed.
import { createRequire } from "node:module";

const require = createRequire(`${process.env.JAVASCRIPT_CLIENTS}/`);
const { generateText, streamText, stepCountIs, tool } = require("ai");
const { createOpenAI } = require("@ai-sdk/openai");
const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");
const { z } = require("zod");

const baseURL = process.env.OPENAI_BASE_URL;
const apiKey = process.env.OPENAI_API_KEY;
const openai = createOpenAI({ baseURL, apiKey });
const compatible = createOpenAICompatible({ name: "sympozium", baseURL, apiKey, includeUsage: true });
const models = { responses: openai.responses, chat: openai.chat, compatible };
const tools = {
  get_weather: tool({ inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `Sunny in ${city}` }),
  get_time: tool({ inputSchema: z.object({}), execute: async () => "noon" }),
};
const told = {};
for (const [name, model] of Object.entries(models)) {
  const options = { maxRetries: 0, prompt: "hello" };
  const whole = await generateText({ ...options, model: model("default") });
  const stream = streamText({ ...options, model: model("default") });
  let streamed = "";
  for await (const piece of stream.textStream) streamed += piece;
  const task = await generateText({ ...options, model: model("tools"), tools, stopWhen: stepCountIs(3) });
  told[name] = {
    text: whole.text,
    tokens: whole.usage.totalTokens,
    streamed,
    results: task.steps.flatMap((step) => step.toolResults.map((result) => result.output)),
    final: task.text,
  };
}
console.log(JSON.stringify(told));
