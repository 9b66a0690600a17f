<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

/** A server that sends a test's answers byte for byte, and records the requests. */
final class CannedServer
{
    private static int $count = 0;

    public readonly int $port;
    public readonly string $address;
    private readonly string $folder;
    private readonly Process $process;

    public function __construct(string $scheme = 'tcp')
    {
        $this->port = Process::freePort();
        $this->folder = Process::folder() . '/canned-' . ++self::$count;
        mkdir($this->folder);
        $listen = $scheme === 'unix' ? "unix://$this->folder/sock" : "tcp://127.0.0.1:$this->port";
        $this->address = $scheme === 'unix' ? $listen : "http://127.0.0.1:$this->port";
        $this->process = new Process([PHP_BINARY, '-n', __DIR__ . '/canned.php', $listen, $this->folder]);
        $this->process->await('the canned server', fn () => str_contains($this->process->output(), 'listening'));
    }

    /** Sets a raw answer for each of the next requests; the last is for all after it. */
    public function answer(string ...$raw): void
    {
        file_put_contents("$this->folder/answers.new", json_encode(array_map(base64_encode(...), $raw)));
        rename("$this->folder/answers.new", "$this->folder/answers");
    }

    /** Returns an answer that closes its connection. */
    public static function http(int $status, string $body, string ...$headers): string
    {
        $length = 'Content-Length: ' . strlen($body);
        $headers = [...$headers, 'Content-Type: application/json', $length, 'Connection: close'];

        return "HTTP/1.1 $status Whatever\r\n" . implode("\r\n", $headers) . "\r\n\r\n$body";
    }

    /** Returns an answer that leaves the connection open if the request does. */
    public static function keepAlive(string $body): string
    {
        $headers = "Content-Type: application/json\r\nContent-Length: " . strlen($body);

        return "HTTP/1.1 200 OK\r\n$headers\r\n\r\n$body";
    }

    /** @return list<array{connection: int, text: string}> the requests, headers and body in one text */
    public function requests(): array
    {
        $log = is_file("$this->folder/log") ? file("$this->folder/log", FILE_IGNORE_NEW_LINES) : [];

        return array_map(static function (string $line): array {
            [$connection, $text] = explode(' ', $line);

            return ['connection' => (int) $connection, 'text' => (string) base64_decode($text)];
        }, $log ?: []);
    }

    public function end(): void
    {
        $this->process->end(SIGKILL);
    }
}
