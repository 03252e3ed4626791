import com.fasterxml.jackson.databind.ObjectMapper;
import dev.langchain4j.agent.tool.P;
import dev.langchain4j.agent.tool.Tool;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiResponsesChatModel;
import dev.langchain4j.model.openai.OpenAiResponsesStreamingChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.service.AiServices;
import dev.langchain4j.service.Result;
import dev.langchain4j.service.TokenStream;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** LangChain4j against an endpoint, by chat completions and by the Responses API, told as JSON. */
public class LangChain4j {
  static final String URL = System.getenv("OPENAI_BASE_URL");
  static final String KEY = System.getenv("OPENAI_API_KEY");

  interface Assistant {
    Result<String> answer(String question);
  }

  interface StreamingAssistant {
    TokenStream answer(String question);
  }

  static class Tools {
    @Tool("The weather in a city.")
    String get_weather(@P(name = "city", value = "a city") String city) {
      return "Sunny in " + city;
    }

    @Tool("The time.")
    String get_time() {
      return "noon";
    }
  }

  public static void main(String[] arguments) throws Exception {
    Map<String, Object> chat =
        told(
            OpenAiChatModel.builder().baseUrl(URL).apiKey(KEY).modelName("default").maxRetries(0).build(),
            OpenAiStreamingChatModel.builder().baseUrl(URL).apiKey(KEY).modelName("default").build(),
            OpenAiChatModel.builder().baseUrl(URL).apiKey(KEY).modelName("tools").maxRetries(0).build());
    Map<String, Object> responses =
        told(
            OpenAiResponsesChatModel.builder().baseUrl(URL).apiKey(KEY).modelName("default").build(),
            OpenAiResponsesStreamingChatModel.builder().baseUrl(URL).apiKey(KEY).modelName("default").build(),
            OpenAiResponsesChatModel.builder().baseUrl(URL).apiKey(KEY).modelName("tools").build());
    if (!chat.equals(responses)) throw new AssertionError(chat + " is not " + responses);
    System.out.write(new ObjectMapper().writeValueAsBytes(chat));
    System.out.flush();
    System.exit(0); // without the wait for idle connections
  }

  static Map<String, Object> told(ChatModel plain, StreamingChatModel streaming, ChatModel able) throws Exception {
    String text = AiServices.create(Assistant.class, plain).answer("hello").content();
    StringBuilder streamed = new StringBuilder();
    CompletableFuture<Object> ended = new CompletableFuture<>();
    AiServices.create(StreamingAssistant.class, streaming)
        .answer("hello")
        .onPartialResponse(streamed::append)
        .onCompleteResponse(ended::complete)
        .onError(ended::completeExceptionally)
        .start();
    ended.get(60, TimeUnit.SECONDS);
    Result<String> task =
        AiServices.builder(Assistant.class).chatModel(able).tools(new Tools()).build().answer("What is the weather?");
    List<String> results = task.toolExecutions().stream().map(execution -> execution.result()).toList();
    return Map.of("text", text, "streamed", streamed.toString(), "results", results, "final", task.content());
  }
}
