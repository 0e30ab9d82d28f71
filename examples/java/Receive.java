import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.Base64;
import java.util.concurrent.Executors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * A worker that takes what medispatcher signed: WEBHOOK_SECRETS="whsec_…" java Receive.java
 *
 * <p>It needs the JDK alone. com.standardwebhooks:standardwebhooks has the same check as {@link #verified}, for one
 * secret.
 */
public class Receive {
  // While a secret is changed there are two, with a space between them.
  static final String[] SECRETS = System.getenv().getOrDefault("WEBHOOK_SECRETS", "").trim().split("\\s+");
  static final long TOLERANCE = 300; // seconds
  static final int MAX_BODY = 4 << 20;

  public static void main(String[] args) throws IOException {
    for (String secret : SECRETS) {
      // Without this check a secret that is cut off would be a key that anybody can guess.
      if (!secret.matches("whsec_[A-Za-z0-9+/]{32,86}={0,2}")) {
        System.err.println("WEBHOOK_SECRETS must hold the secret of the subscription: whsec_ and 24 to 64 bytes in base64");
        System.exit(2);
      }
    }
    int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
    server.setExecutor(Executors.newFixedThreadPool(16));
    server.createContext("/", Receive::receive);
    server.start();
    System.out.println("listening on http://127.0.0.1:" + server.getAddress().getPort() + "/");
  }

  static void receive(HttpExchange exchange) throws IOException {
    try (exchange) {
      // The bytes as they came: the signature is that of them.
      byte[] body = exchange.getRequestBody().readNBytes(MAX_BODY + 1);
      if (body.length > MAX_BODY) {
        exchange.sendResponseHeaders(413, -1);
      } else if (!verified(exchange, body)) {
        exchange.sendResponseHeaders(401, -1);
      } else {
        // webhook-id is the same for every attempt: remember it where a repetition would do harm.
        System.out.println(header(exchange, "medis-topic") + " " + new String(body, StandardCharsets.UTF_8));
        exchange.sendResponseHeaders(204, -1); // any 2xx: the message is done
      }
    }
  }

  static boolean verified(HttpExchange exchange, byte[] body) {
    String id = header(exchange, "webhook-id");
    String timestamp = header(exchange, "webhook-timestamp");
    if (id.isEmpty() || !timestamp.matches("\\d{1,18}")
        || Math.abs(Instant.now().getEpochSecond() - Long.parseLong(timestamp)) > TOLERANCE) {
      return false;
    }
    for (String secret : SECRETS) {
      byte[] good = sign(secret, id + "." + timestamp + ".", body);
      for (String given : header(exchange, "webhook-signature").split(" ")) {
        if (MessageDigest.isEqual(good, given.getBytes(StandardCharsets.UTF_8))) {
          return true;
        }
      }
    }
    return false;
  }

  static byte[] sign(String secret, String head, byte[] body) {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(Base64.getDecoder().decode(secret.substring("whsec_".length())), "HmacSHA256"));
      mac.update(head.getBytes(StandardCharsets.UTF_8));
      return ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes(StandardCharsets.UTF_8);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String header(HttpExchange exchange, String name) {
    String value = exchange.getRequestHeaders().getFirst(name);
    return value == null ? "" : value;
  }
}
