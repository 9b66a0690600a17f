<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

use Wxsidecar\Response;

/**
 * Carries requests with ext-curl, over connections that it keeps.
 *
 * @internal
 */
final class Curl implements Transport
{
    /** Keeps the connections. Null while a request is under way: another coroutine then takes one of its own. */
    private ?\CurlHandle $idle = null;
    private int $process = 0;

    public function send(#[\SensitiveParameter] Request $request): Response
    {
        $head = 0;
        $headers = [];
        $body = '';
        $curl = $this->take();
        curl_setopt_array($curl, [
            CURLOPT_URL => (string) $request->url,
            CURLOPT_CUSTOMREQUEST => $request->method,
            CURLOPT_HTTPHEADER => self::lines($request->headers),
            CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_TIMEOUT_MS => (int) ($request->wait * 1000),
            CURLOPT_NOSIGNAL => true,
            CURLOPT_SUPPRESS_CONNECT_HEADERS => true,
            CURLOPT_HEADERFUNCTION => static function (\CurlHandle $curl, string $line) use (&$head, &$headers): int {
                $head += strlen($line);
                if (str_starts_with($line, 'HTTP/')) {
                    $headers = []; // those before were of a 100 Continue
                } elseif (str_contains($line, ':')) {
                    [$name, $value] = explode(':', $line, 2);
                    $headers[strtolower($name)] = trim($value);
                }

                return $head <= self::MAX_HEAD ? strlen($line) : -1;
            },
            CURLOPT_WRITEFUNCTION => static function (\CurlHandle $curl, string $part) use (&$body, $request): int {
                $body .= $part;

                return strlen($body) <= $request->limit ? strlen($part) : -1;
            },
        ]);
        if ($request->body !== null) {
            curl_setopt($curl, CURLOPT_POSTFIELDS, $request->body);
        }
        if ($request->method === 'HEAD') {
            curl_setopt($curl, CURLOPT_NOBODY, true);
        }
        if ($request->socket !== null) {
            curl_setopt($curl, CURLOPT_UNIX_SOCKET_PATH, $request->socket);
        }
        if (!$request->proxy) {
            curl_setopt($curl, CURLOPT_PROXY, '');
        }

        $done = curl_exec($curl);
        $error = match (curl_errno($curl)) {
            CURLE_OPERATION_TIMEDOUT => "no answer within $request->wait s",
            CURLE_WRITE_ERROR => 'the answer is too long',
            default => curl_error($curl),
        };
        $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
        curl_reset($curl); // forgets the request, keeps the connections
        $this->idle = $curl;
        if ($done === false) {
            throw new NoAnswer($error);
        }

        return new Response($status, $headers, $body);
    }

    /** A forked child must not write into its parent's connections: each would read the other's answers. */
    private function take(): \CurlHandle
    {
        $curl = $this->process === getmypid() ? $this->idle : null;
        $this->idle = null;
        $this->process = (int) getmypid();

        return $curl ?? curl_init();
    }

    /**
     * @param array<string, string> $headers
     * @return list<string>
     */
    private static function lines(#[\SensitiveParameter] array $headers): array
    {
        $lines = ['Expect:']; // no 100 Continue: it costs a round trip, and a second where it is not understood
        foreach ($headers as $name => $value) {
            $lines[] = "$name: $value";
        }

        return $lines;
    }
}
