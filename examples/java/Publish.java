import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.UUID;
import java.util.zip.CRC32;

/**
 * Publishes a message: java Publish.java redis|http TOPIC BODY
 *
 * <p>It needs the JDK alone, so {@link #redis} speaks to Redis by itself. With a client it is
 * {@code jedis.xadd("medis:{0}:incoming", StreamEntryID.NEW_ENTRY, fields)}.
 */
public class Publish {
  static final String REDIS_URL = setting("REDIS_URL", "redis://127.0.0.1:6379/0"); // that of the dispatchers
  static final String RECOVER_REDIS_URL = setting("RECOVER_REDIS_URL", REDIS_URL); // their MEDIS_RECOVER_REDIS_URL
  static final int PARTITIONS = Integer.parseInt(setting("MEDIS_PARTITIONS", "1")); // as the dispatchers have it
  static final String MEDIS_URL = setting("MEDIS_URL", "http://127.0.0.1:5601"); // of a dispatcher, for HTTP
  static final String MEDIS_TOKEN = setting("MEDIS_TOKEN", "");

  public static void main(String[] args) throws Exception {
    if (args.length != 3 || !args[0].equals("redis") && !args[0].equals("http")) {
      System.err.println("usage: java Publish.java redis|http TOPIC BODY");
      System.exit(2);
    }
    String id = UUID.randomUUID().toString();
    if (args[0].equals("http")) {
      publishByHttp(args[1], args[2], id);
    } else {
      publish(args[1], args[2], id);
    }
    System.out.println(id);
  }

  /** With an id a message can be written again: it is delivered once. */
  static void publish(String topic, String body, String id) throws IOException {
    CRC32 crc = new CRC32();
    crc.update(id.getBytes(StandardCharsets.UTF_8)); // of the key, where there is one
    String stream = "medis:{" + crc.getValue() % PARTITIONS + "}:incoming";
    try {
      redis(REDIS_URL, "XADD", stream, "*", "topic", topic, "body", body, "id", id);
    } catch (IOException e) {
      // Redis does not take it, or did not say so. The dispatchers publish it from the recover list.
      System.err.println("parked: " + e.getMessage());
      String item = String.format("{\"topic\":%s,\"body\":%s,\"id\":%s,\"time\":%d}",
          json(topic), json(body), json(id), System.currentTimeMillis());
      redis(RECOVER_REDIS_URL, "RPUSH", "medis:recover:java", item);
    }
  }

  static void publishByHttp(String topic, String body, String id) throws Exception {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(MEDIS_URL + "/api/v1/topics/" + topic + "/messages"))
        .timeout(Duration.ofSeconds(5))
        .header("Content-Type", "application/json")
        .header("Idempotency-Key", id)
        .POST(HttpRequest.BodyPublishers.ofString(body));
    if (!MEDIS_TOKEN.isEmpty()) {
      request.header("Authorization", "Bearer " + MEDIS_TOKEN);
    }
    HttpResponse<String> answer = HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
    if (answer.statusCode() / 100 != 2) {
      throw new IOException(answer.statusCode() + " " + answer.body());
    }
  }

  /** Runs one command; its answer must be no error. */
  static void redis(String url, String... command) throws IOException {
    URI at = URI.create(url);
    try (Socket socket = new Socket()) {
      socket.connect(new InetSocketAddress(at.getHost(), at.getPort() < 0 ? 6379 : at.getPort()), 3000);
      socket.setSoTimeout(3000);
      InputStream in = new BufferedInputStream(socket.getInputStream());
      if (at.getUserInfo() != null) {
        String[] user = at.getUserInfo().split(":", 2);
        send(socket, in, user[0].isEmpty() ? new String[] {"AUTH", user[1]} : new String[] {"AUTH", user[0], user[1]});
      }
      if (at.getPath() != null && at.getPath().length() > 1) {
        send(socket, in, "SELECT", at.getPath().substring(1));
      }
      send(socket, in, command);
    }
  }

  private static void send(Socket socket, InputStream in, String... command) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(("*" + command.length + "\r\n").getBytes(StandardCharsets.UTF_8));
    for (String word : command) {
      byte[] bytes = word.getBytes(StandardCharsets.UTF_8);
      out.writeBytes(("$" + bytes.length + "\r\n").getBytes(StandardCharsets.UTF_8));
      out.writeBytes(bytes);
      out.writeBytes(new byte[] {'\r', '\n'});
    }
    socket.getOutputStream().write(out.toByteArray());
    String answer = line(in);
    if (answer.startsWith("-")) {
      throw new IOException(answer.substring(1));
    }
    if (answer.startsWith("$")) {
      line(in);
    }
  }

  private static String line(InputStream in) throws IOException {
    StringBuilder text = new StringBuilder();
    for (int c; (c = in.read()) != '\n'; ) {
      if (c < 0) {
        throw new IOException("Redis closed the connection");
      }
      text.append((char) c);
    }
    return text.toString().trim();
  }

  private static String json(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') {
        out.append('\\').append(c);
      } else if (c < ' ') {
        out.append(String.format("\\u%04x", (int) c));
      } else {
        out.append(c);
      }
    }
    return out.append('"').toString();
  }

  private static String setting(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }
}
