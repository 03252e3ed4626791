import com.fasterxml.jackson.annotation.JsonClassDescription;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.http.StreamResponse;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionMessage;
import com.openai.models.chat.completions.ChatCompletionToolMessageParam;
import com.openai.models.responses.ResponseCreateParams;
import com.openai.models.responses.ResponseFunctionToolCall;
import com.openai.models.responses.ResponseInputItem;
import com.openai.models.responses.ResponseOutputItem;
import com.openai.models.responses.ResponseStreamEvent;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** OpenAI's SDK for Java against an endpoint, by chat completions and by the Responses API, told as JSON. */
public class OpenAi {
  @JsonClassDescription("The weather in a city.")
  public static class get_weather {
    public String city;

    String run() {
      return "Sunny in " + city;
    }
  }

  @JsonClassDescription("The time.")
  public static class get_time {
    public String zone;

    String run() {
      return "noon";
    }
  }

  public static void main(String[] arguments) throws Exception {
    OpenAIClient client = OpenAIOkHttpClient.builder().fromEnv().build();
    Map<String, Object> chat = chat(client);
    Map<String, Object> responses = responses(client);
    if (!chat.equals(responses)) throw new AssertionError(chat + " is not " + responses);
    System.out.write(new ObjectMapper().writeValueAsBytes(chat));
    System.out.flush();
    System.exit(0); // without the wait for idle connections
  }

  static Map<String, Object> chat(OpenAIClient client) {
    ChatCompletionCreateParams hello = ChatCompletionCreateParams.builder().model("default").addUserMessage("hello").build();
    String text = message(client, hello).content().get();
    String streamed;
    try (StreamResponse<ChatCompletionChunk> stream = client.chat().completions().createStreaming(hello)) {
      streamed =
          stream.stream()
              .flatMap(chunk -> chunk.choices().stream())
              .flatMap(choice -> choice.delta().content().stream())
              .collect(Collectors.joining());
    }
    ChatCompletionCreateParams.Builder task =
        ChatCompletionCreateParams.builder()
            .model("tools")
            .addUserMessage("What is the weather?")
            .addTool(get_weather.class)
            .addTool(get_time.class);
    ChatCompletionMessage calling = message(client, task.build());
    task.addMessage(calling);
    List<String> results = new ArrayList<>();
    calling.toolCalls().get().stream()
        .map(call -> call.asFunction())
        .forEach(
            call -> {
              String result =
                  call.function().name().equals("get_weather")
                      ? call.function().arguments(get_weather.class).run()
                      : call.function().arguments(get_time.class).run();
              results.add(result);
              task.addMessage(ChatCompletionToolMessageParam.builder().toolCallId(call.id()).content(result).build());
            });
    return Map.of("text", text, "streamed", streamed, "results", results, "final", message(client, task.build()).content().get());
  }

  static ChatCompletionMessage message(OpenAIClient client, ChatCompletionCreateParams params) {
    return client.chat().completions().create(params).choices().get(0).message();
  }

  static Map<String, Object> responses(OpenAIClient client) {
    ResponseCreateParams hello = ResponseCreateParams.builder().model("default").input("hello").build();
    String text = text(client.responses().create(hello).output());
    String streamed;
    try (StreamResponse<ResponseStreamEvent> stream = client.responses().createStreaming(hello)) {
      streamed =
          stream.stream()
              .flatMap(event -> event.outputTextDelta().stream())
              .map(event -> event.delta())
              .collect(Collectors.joining());
    }
    ResponseInputItem question =
        ResponseInputItem.ofMessage(
            ResponseInputItem.Message.builder()
                .role(ResponseInputItem.Message.Role.USER)
                .addInputTextContent("What is the weather?")
                .build());
    List<ResponseInputItem> input = new ArrayList<>(List.of(question));
    ResponseCreateParams.Builder task =
        ResponseCreateParams.builder().model("tools").addTool(get_weather.class).addTool(get_time.class);
    List<String> results = new ArrayList<>();
    for (ResponseOutputItem item : client.responses().create(task.inputOfResponse(input).build()).output()) {
      if (!item.isFunctionCall()) continue;
      ResponseFunctionToolCall call = item.asFunctionCall();
      String result =
          call.name().equals("get_weather")
              ? call.arguments(get_weather.class).run()
              : call.arguments(get_time.class).run();
      results.add(result);
      input.add(ResponseInputItem.ofFunctionCall(call));
      input.add(
          ResponseInputItem.ofFunctionCallOutput(
              ResponseInputItem.FunctionCallOutput.builder().callId(call.callId()).output(result).build()));
    }
    String last = text(client.responses().create(task.inputOfResponse(input).build()).output());
    return Map.of("text", text, "streamed", streamed, "results", results, "final", last);
  }

  static String text(List<ResponseOutputItem> output) {
    return output.stream()
        .flatMap(item -> item.message().stream())
        .flatMap(message -> message.content().stream())
        .flatMap(content -> content.outputText().stream())
        .map(part -> part.text())
        .collect(Collectors.joining());
  }
}
