<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

/**
 * A handle of ext-curl with its connections, for one request at a time. It stays set
 * up for a request without secrets, because the next one is mostly the same. Without
 * this a miss takes 6 % longer (`./test.sh bench`, median of three runs).
 *
 * @internal
 */
final class Handle
{
    private readonly \CurlHandle $curl;
    private readonly Receiver $receiver;
    /** The request that it is set up for. */
    private ?Request $request = null;

    public function __construct()
    {
        $this->curl = curl_init();
        $this->receiver = new Receiver();
    }

    /** If it throws, from a signal handler, the handle must not be used again. */
    public function send(#[\SensitiveParameter] Request $request): Answer|NoAnswer
    {
        if ($request !== $this->request) {
            $this->prepare($request);
        }
        $done = curl_exec($this->curl);
        $answer = $this->receiver->end(curl_getinfo($this->curl, CURLINFO_RESPONSE_CODE));
        $failure = $done === false ? $this->failure($request) : null;
        if ($request->secret) {
            $this->request = null;
            curl_reset($this->curl);
        }

        return $failure ?? $answer;
    }

    private function prepare(#[\SensitiveParameter] Request $request): void
    {
        $this->request = $request;
        $this->receiver->limit($request->limit);
        curl_reset($this->curl); // removes the options, not the connections
        curl_setopt_array($this->curl, [
            CURLOPT_URL => (string) $request->url,
            CURLOPT_CUSTOMREQUEST => $request->method,
            CURLOPT_HTTPHEADER => self::lines($request->headers),
            CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_TIMEOUT_MS => (int) ($request->wait * 1000),
            CURLOPT_NOSIGNAL => true,
            CURLOPT_SUPPRESS_CONNECT_HEADERS => true,
            CURLOPT_HEADERFUNCTION => $this->receiver->head(...),
            CURLOPT_WRITEFUNCTION => $this->receiver->body(...),
        ]);
        if ($request->body !== null) {
            curl_setopt($this->curl, CURLOPT_POSTFIELDS, $request->body);
        }
        if ($request->method === 'HEAD') {
            curl_setopt($this->curl, CURLOPT_NOBODY, true);
        }
        if ($request->once) {
            curl_setopt_array($this->curl, [CURLOPT_FRESH_CONNECT => true, CURLOPT_FORBID_REUSE => true]);
        }
        if ($request->socket !== null) {
            curl_setopt($this->curl, CURLOPT_UNIX_SOCKET_PATH, $request->socket);
        }
        if ($request->caFile !== null) {
            // A CAPATH without CAs: otherwise curl trusts those of its default folder too, and without a folder it
            // remembers the file's content for a day.
            curl_setopt_array($this->curl, [CURLOPT_CAINFO => $request->caFile, CURLOPT_CAPATH => $request->caFile]);
        }
        if (!$request->proxy) {
            curl_setopt($this->curl, CURLOPT_PROXY, '');
        }
    }

    private function failure(#[\SensitiveParameter] Request $request): NoAnswer
    {
        return new NoAnswer(match (curl_errno($this->curl)) {
            CURLE_OPERATION_TIMEDOUT => "no answer within $request->wait s",
            CURLE_WRITE_ERROR => 'the answer is too long',
            default => curl_error($this->curl),
        });
    }

    /**
     * @param array<string, string> $headers
     * @return list<string>
     */
    private static function lines(#[\SensitiveParameter] array $headers): array
    {
        $lines = ['Expect:']; // no 100 Continue: it costs a round trip, or a second if the server ignores it
        foreach ($headers as $name => $value) {
            $lines[] = "$name: $value";
        }

        return $lines;
    }
}
