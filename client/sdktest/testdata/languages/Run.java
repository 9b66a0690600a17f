// Sends five requests a second with the example of docs/clients.md until standard input ends. With LINES it prints a token for each line.

import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public final class Run {
    private static final String APPID = System.getenv("APPID"), API = System.getenv("API");
    private static volatile boolean running = true;
    private static final Pattern ERRCODE = Pattern.compile("\"errcode\":(-?[1-9]\\d*)");

    public static void main(String[] args) throws Exception {
        if (System.getenv("LINES") != null) {
            BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
            while (lines.readLine() != null) {
                Wx.wechat(APPID, token -> {
                    System.out.println(token);
                    return "{}";
                });
            }
            return;
        }
        Thread input = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { } // until its end
            } catch (Exception e) {
                System.err.println(e);
            }
            running = false;
        });
        input.setDaemon(true);
        input.start();
        HttpClient https = HttpClient.newBuilder().sslContext(trusting(System.getenv("CA"))).build();
        int requests = 0, failed = 0;
        String firstError = "";
        do {
            requests++;
            try {
                String answer = Wx.wechat(APPID, token -> https.send(
                    HttpRequest.newBuilder(URI.create(API + "/cgi-bin/user/info?openid=oABC123&access_token=" + token)).build(),
                    HttpResponse.BodyHandlers.ofString()).body());
                Matcher refused = ERRCODE.matcher(answer);
                if (refused.find()) {
                    throw new RuntimeException("WeChat refused: " + refused.group(1));
                }
            } catch (Exception e) { // a request of an app fails
                failed++;
                firstError = firstError.isEmpty() ? String.valueOf(e.getMessage()).replaceAll("[^\\w :./-]", "_") : firstError;
            }
            Thread.sleep(200);
        } while (running);
        System.out.printf("{\"requests\":%d,\"failed\":%d,\"firstError\":\"%s\"}%n", requests, failed, firstError);
        System.exit(0);
    }

    /** Returns TLS that trusts the certificate in a PEM file alone. */
    private static SSLContext trusting(String path) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream file = new FileInputStream(path)) {
            store.setCertificateEntry("wechat", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(null, trust.getTrustManagers(), null);
        return tls;
    }
}
