import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;

/** Spring AI's chat client as a plain library against an endpoint, told as JSON. */
public class SpringAi {
  record City(String city) {}

  record Nothing() {}

  static final List<String> results = new ArrayList<>();

  public static void main(String[] arguments) throws Exception {
    String text = client("default").prompt("hello").call().content();
    String streamed = String.join("", client("default").prompt("hello").stream().content().collectList().block());
    ToolCallback weather = tool("get_weather", City.class, input -> "Sunny in " + input.city());
    ToolCallback time = tool("get_time", Nothing.class, input -> "noon");
    String last = client("tools").prompt("What is the weather?").tools(weather, time).call().content();
    Map<String, Object> told = Map.of("text", text, "streamed", streamed, "results", results, "final", last);
    System.out.write(new ObjectMapper().writeValueAsBytes(told));
    System.out.flush();
    System.exit(0); // without the wait for idle connections
  }

  static ChatClient client(String model) {
    OpenAiChatOptions options =
        OpenAiChatOptions.builder()
            .baseUrl(System.getenv("OPENAI_BASE_URL"))
            .apiKey(System.getenv("OPENAI_API_KEY"))
            .model(model)
            .build();
    return ChatClient.create(OpenAiChatModel.builder().options(options).build());
  }

  static <T> ToolCallback tool(String name, Class<T> input, Function<T, String> run) {
    Function<T, String> noted =
        given -> {
          String result = run.apply(given);
          results.add(result);
          return result;
        };
    return FunctionToolCallback.builder(name, noted).description(name).inputType(input).build();
  }
}
