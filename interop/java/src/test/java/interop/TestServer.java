package interop;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import com.nimbusds.oauth2.sdk.ParseException;
import com.nimbusds.oauth2.sdk.util.JSONObjectUtils;

/** The started server, its demo clients, and a sign-in of a demo user. */
final class TestServer {
    static final String ISSUER = issuer();
    static final String AUDIENCE = "https://api.activity.com";
    static final String SERVICE = "chat-api-service";
    static final String SECRET = "your-service-secret-change-in-production";
    static final String SCOPE = "groups:read members:read";
    /** The public client under which the server's own sign-in issues tokens. */
    static final String ACCOUNT_CLIENT = "tokensmith-account";

    private TestServer() {}

    static URI uri(String path) {
        return URI.create(ISSUER + path);
    }

    /** Signs Alice in, in the older clients' spelling; one member of her answer. */
    static String signIn(String member) throws IOException, InterruptedException, ParseException {
        var body = "{\"email\":\"alice.admin@example.com\",\"password\":\"correct horse battery staple\"}";
        var request = HttpRequest.newBuilder(uri("/auth/login"))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build();
        var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        return JSONObjectUtils.getString(JSONObjectUtils.parse(answer.body()), member);
    }

    /** Registers a client by the command line, with further metadata (RFC 7591), a secret or null, and options. */
    static void register(String id, String metadata, String secret, String... options)
            throws IOException, InterruptedException {
        var data = System.getenv("TOKENSMITH_DATA");
        var file = Files.writeString(Path.of(data, id + ".json"), metadata);
        var command = new ArrayList<>(List.of(System.getenv("TOKENSMITH_BIN"), "client", "create", id));
        command.addAll(List.of("--data", data, "--metadata", file.toString()));
        command.addAll(List.of(options));
        if (secret != null) {
            command.add("--secret-stdin");
        }
        var process = new ProcessBuilder(command).redirectErrorStream(true).start();
        try (var input = process.getOutputStream()) {
            input.write((secret == null ? "" : secret).getBytes(StandardCharsets.UTF_8));
        }
        var said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new IllegalStateException(said);
        }
    }

    private static String issuer() {
        var issuer = System.getenv("TOKENSMITH_URL");
        if (issuer == null) {
            throw new IllegalStateException("run interop/java/run");
        }
        return issuer;
    }
}
