// What OpenAI's SDK for Node makes of an endpoint: one scenario, named on the command line, told as JSON.
// OPENAI_BASE_URL and OPENAI_API_KEY are the SDK's own; NODE_CLIENT is the folder in which it is installed.
import { createRequire } from "node:module";

const OpenAI = createRequire(`${process.env.NODE_CLIENT}/`)("openai").OpenAI;
const client = new OpenAI({ maxRetries: 0, timeout: 90_000 });
const messages = [{ role: "user", content: "hello" }];
const tools = [{ type: "function", function: { name: "get_weather", parameters: { type: "object", properties: {} } } }];
const [scenario, model = "default"] = process.argv.slice(2);

const scenarios = {
  async whole() {
    const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
    const [choice] = data.choices;
    return {
      text: choice.message.content,
      reason: choice.finish_reason,
      model: data.model,
      tokens: data.usage.total_tokens,
      run: response.headers.get("x-sympozium-run"),
    };
  },

  async stream() {
    const options = { stream: true, stream_options: { include_usage: true } };
    const found = { texts: [], reason: null, tokens: null };
    for await (const chunk of await client.chat.completions.create({ model, messages, ...options })) {
      for (const choice of chunk.choices) {
        if (choice.delta.content) found.texts.push(choice.delta.content);
        found.reason = choice.finish_reason ?? found.reason;
      }
      found.tokens = chunk.usage?.total_tokens ?? found.tokens;
    }
    return found;
  },

  async tools() {
    const stream = client.chat.completions.stream({ model, messages, tools });
    const [choice] = (await stream.finalChatCompletion()).choices;
    const calls = choice.message.tool_calls;
    const results = calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: "Sunny" }));
    const next = [...messages, choice.message, ...results];
    const final = await client.chat.completions.create({ model, messages: next, tools });
    return {
      calls: calls.map((call) => [call.id, call.function.name, call.function.arguments]),
      reason: choice.finish_reason,
      final: final.choices[0].message.content,
    };
  },

  async refused() {
    return raised(() => client.chat.completions.create({ model, messages }));
  },

  async broken() {
    return raised(async () => {
      for await (const _ of await client.chat.completions.create({ model, messages, stream: true }));
    });
  },

  async late() {
    const headers = { "x-request-timeout": "3" };
    return raised(() => client.chat.completions.create({ model, messages }, { headers }));
  },

  async completion() {
    const answer = await client.completions.create({ model, prompt: "One" });
    return { text: answer.choices[0].text, reason: answer.choices[0].finish_reason };
  },

  async embeddings() {
    const answer = await client.embeddings.create({ model, input: ["One", "Three"] });
    return { vectors: answer.data.map((item) => Array.from(item.embedding)), model: answer.model };
  },

  async models() {
    const found = [];
    for await (const one of client.models.list()) found.push(one.id);
    return { models: found };
  },
};

async function raised(ask) {
  try {
    await ask();
  } catch (error) {
    return { kind: error.constructor.name, status: error.status ?? null, code: error.code ?? null, message: error.message };
  }
  return { kind: null };
}

console.log(JSON.stringify(await scenarios[scenario]()));
