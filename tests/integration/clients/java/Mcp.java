import io.modelcontextprotocol.client.McpClient;
import io.modelcontextprotocol.client.McpSyncClient;
import io.modelcontextprotocol.client.transport.HttpClientSseClientTransport;
import io.modelcontextprotocol.client.transport.HttpClientStreamableHttpTransport;
import io.modelcontextprotocol.spec.McpClientTransport;
import io.modelcontextprotocol.spec.McpSchema.CallToolRequest;
import io.modelcontextprotocol.spec.McpSchema.TextContent;
import java.net.http.HttpRequest;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;

/** MCP's SDK for Java against an endpoint, by Streamable HTTP and by HTTP+SSE, told as JSON. */
public class Mcp {
  public static void main(String[] arguments) throws Exception {
    String url = System.getenv("MCP_URL");
    HttpRequest.Builder request = HttpRequest.newBuilder().header("Authorization", "Bearer " + System.getenv("OPENAI_API_KEY"));
    Map<String, Object> told = new LinkedHashMap<>();
    told.put("streamable", told(HttpClientStreamableHttpTransport.builder(url).requestBuilder(request.copy()).build()));
    told.put("sse", told(HttpClientSseClientTransport.builder(url).requestBuilder(request.copy()).build()));
    System.out.write(new JsonMapper().writeValueAsBytes(told));
    System.out.flush();
    System.exit(0); // without the wait for idle connections
  }

  static Map<String, Object> told(McpClientTransport transport) {
    StringBuffer progress = new StringBuffer();
    McpSyncClient client =
        McpClient.sync(transport).progressConsumer(notification -> progress.append(notification.message())).build();
    client.initialize();
    String tool = client.listTools().tools().get(0).name();
    CallToolRequest call =
        CallToolRequest.builder().name(tool).arguments(Map.of("task", "hello")).progressToken("p").build();
    TextContent answer = (TextContent) client.callTool(call).content().get(0);
    client.closeGracefully();
    return Map.of("tool", tool, "text", answer.text(), "progress", progress.toString());
  }
}
