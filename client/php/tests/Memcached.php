<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

/** A real memcached, with a connection for the test. */
final class Memcached
{
    public readonly int $port;
    private Process $process;
    /** @var resource */
    private mixed $wire;

    public function __construct()
    {
        $this->port = Process::freePort();
        $this->start();
    }

    public function start(): void
    {
        $this->process = new Process(
            ['memcached', '-l', '127.0.0.1', '-p', (string) $this->port, '-u', 'nobody', '-U', '0', '-t', '1']
        );
        $this->wire = $this->process->await(
            'memcached to listen',
            fn () => @stream_socket_client("tcp://127.0.0.1:$this->port", $errno, $error, 1),
        );
    }

    public function set(string $key, string $value, int $flags = 0): void
    {
        fwrite($this->wire, "set $key $flags 60 " . strlen($value) . "\r\n$value\r\n");
        if (fgets($this->wire) !== "STORED\r\n") {
            throw new \RuntimeException("memcached did not store $key");
        }
    }

    public function get(string $key): ?string
    {
        fwrite($this->wire, "get $key\r\n");
        if (preg_match('/^VALUE \S+ 0 (\d+)\r\n$/', (string) fgets($this->wire), $match) !== 1) {
            return null;
        }
        $value = (string) stream_get_contents($this->wire, (int) $match[1]);
        fgets($this->wire);
        fgets($this->wire);

        return $value;
    }

    /** Returns the number of gets, those of the test included. */
    public function gets(): int
    {
        $gets = -1;
        fwrite($this->wire, "stats\r\n");
        while (is_string($line = fgets($this->wire)) && $line !== "END\r\n") {
            if (sscanf($line, 'STAT cmd_get %d', $n) === 1) {
                $gets = (int) $n;
            }
        }

        return $line === false ? throw new \RuntimeException('memcached closed the connection') : $gets;
    }

    /** Stops it: it accepts connections and answers nothing. */
    public function freeze(): void
    {
        $this->process->signal(SIGSTOP);
        Process::eventually('memcached to stop', fn () => str_contains(
            (string) file_get_contents("/proc/{$this->process->pid}/status"),
            "State:\tT",
        ));
    }

    public function thaw(): void
    {
        $this->process->signal(SIGCONT);
    }

    public function kill(): void
    {
        $this->process->end(SIGKILL);
    }

    /** Returns an extension as an app configures it, with short timeouts. */
    public function client(string $extension): \Memcached|\Memcache
    {
        if ($extension === 'memcache') {
            $memcache = new \Memcache();
            // This extension sets a dynamic property, which PHP 8.2 deprecates.
            @$memcache->addServer('127.0.0.1', $this->port, false, 1, 1);

            return $memcache;
        }
        $memcached = new \Memcached();
        $memcached->setOptions([
            \Memcached::OPT_CONNECT_TIMEOUT => 500, // milliseconds
            \Memcached::OPT_POLL_TIMEOUT => 500,
            \Memcached::OPT_RETRY_TIMEOUT => 0,
        ]);
        $memcached->addServer('127.0.0.1', $this->port);

        return $memcached;
    }
}
