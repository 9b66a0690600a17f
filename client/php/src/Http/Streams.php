<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

/**
 * Sends requests with PHP's streams, for a PHP without ext-curl: one connection for
 * each request, and no proxy. It uses HTTP/1.0, in which an answer ends with its
 * connection. Unlike PHP's own http:// it supports unix sockets.
 *
 * @internal
 */
final class Streams implements Transport
{
    private const CHUNK = 16_384;

    public function send(#[\SensitiveParameter] Request $request): Answer
    {
        $deadline = microtime(true) + $request->wait;
        $stream = self::connect($request);
        try {
            self::write($stream, $request, $deadline);
            $text = self::read($stream, $request, $deadline);
        } finally {
            fclose($stream);
        }

        return self::parse($text, $request);
    }

    /** @return resource */
    private static function connect(#[\SensitiveParameter] Request $request)
    {
        $to = ($request->url->scheme === 'https' ? 'ssl' : 'tcp') . "://{$request->url->host}:{$request->url->port}";
        $to = $request->socket === null ? $to : "unix://$request->socket";
        $context = stream_context_create(['ssl' => $request->caFile === null ? [] : ['cafile' => $request->caFile]]);
        $stream = @stream_socket_client($to, $errno, $error, $request->wait, STREAM_CLIENT_CONNECT, $context);
        if ($stream === false) {
            throw new NoAnswer($error !== '' ? $error : 'no TLS connection; check that the certificate is trusted');
        }

        return $stream;
    }

    /** @param resource $stream */
    private static function write($stream, #[\SensitiveParameter] Request $request, float $deadline): void
    {
        $text = "$request->method {$request->url->target()} HTTP/1.0\r\nHost: {$request->url->authority()}\r\n";
        foreach ($request->headers as $name => $value) {
            $text .= "$name: $value\r\n";
        }
        if ($request->body !== null) {
            $text .= 'Content-Length: ' . strlen($request->body) . "\r\n";
        }
        $text .= "\r\n$request->body";
        stream_set_blocking($stream, false); // a server that does not read must not block beyond the deadline
        for ($sent = 0; $sent < strlen($text); $sent += $n) {
            self::awaitRoom($stream, $request, $deadline);
            $n = @fwrite($stream, substr($text, $sent, self::CHUNK));
            if ($n === false || ($n === 0 && feof($stream))) {
                break; // the connection is closed: there can be an answer nevertheless
            }
        }
        stream_set_blocking($stream, true);
    }

    /** @param resource $stream */
    private static function awaitRoom($stream, #[\SensitiveParameter] Request $request, float $deadline): void
    {
        $left = $deadline - microtime(true);
        [$none, $writable] = [null, [$stream]];
        // A signal ends the wait too: then the write sends nothing, and the next wait is shorter.
        if ($left <= 0 || @stream_select($none, $writable, $none, (int) $left, (int) (fmod($left, 1) * 1e6)) === 0) {
            throw new NoAnswer("no answer within $request->wait s");
        }
    }

    /** @param resource $stream */
    private static function read($stream, #[\SensitiveParameter] Request $request, float $deadline): string
    {
        $answer = '';
        while (!feof($stream)) {
            $left = $deadline - microtime(true);
            if ($left <= 0) {
                throw new NoAnswer("no answer within $request->wait s");
            }
            stream_set_timeout($stream, (int) $left, (int) (fmod($left, 1) * 1e6));
            $answer .= @fread($stream, self::CHUNK);
            if (strlen($answer) > self::MAX_HEAD + $request->limit) {
                throw new NoAnswer('the answer is too long');
            }
        }

        return $answer;
    }

    private static function parse(
        #[\SensitiveParameter] string $text,
        #[\SensitiveParameter] Request $request,
    ): Answer {
        [$head, $body] = explode("\r\n\r\n", $text, 2) + [1 => null];
        if ($body === null || preg_match('~^HTTP/1\.[01] ([0-9]{3})\b~', $head, $start) !== 1) {
            throw new NoAnswer($text === '' ? 'connection closed' : 'the answer is not HTTP, or incomplete');
        }
        $answer = new Answer((int) $start[1], $head, $body);
        $headers = $answer->headers();
        $promised = (int) ($headers['content-length'] ?? strlen($body));
        if (isset($headers['transfer-encoding']) || (strlen($body) < $promised && $request->method !== 'HEAD')) {
            throw new NoAnswer('the answer is incomplete, or chunked, which HTTP/1.0 does not allow');
        }
        if (strlen($head) > self::MAX_HEAD || strlen($body) > $request->limit) {
            throw new NoAnswer('the answer is too long');
        }

        return $answer;
    }
}
