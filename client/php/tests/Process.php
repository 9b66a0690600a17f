<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

/** A program that runs during the tests, and ends with them. */
final class Process
{
    private const PATIENCE = 10.0; // seconds

    /** @var array<int, self> */
    private static array $running = [];

    public readonly int $pid;
    /** @var resource */
    private readonly mixed $handle;
    /** @var resource */
    private readonly mixed $stdin;
    private readonly string $output;

    /**
     * @param list<string>          $command
     * @param array<string, string> $environment
     */
    public function __construct(private readonly array $command, array $environment = [])
    {
        if (self::$running === []) {
            register_shutdown_function(self::endAll(...));
        }
        $this->output = (string) tempnam(self::folder(), 'out');
        $handle = proc_open(
            $command,
            [['pipe', 'r'], ['file', $this->output, 'a'], ['file', $this->output, 'a']],
            $pipes,
            null,
            $environment + ['PATH' => (string) getenv('PATH')],
        );
        if ($handle === false) {
            throw new \RuntimeException("$command[0] does not start");
        }
        $this->handle = $handle;
        $this->stdin = $pipes[0];
        $this->pid = proc_get_status($handle)['pid'];
        self::$running[$this->pid] = $this;
    }

    /** Returns the folder for files of the processes; test.sh creates and removes it. */
    public static function folder(): string
    {
        return getenv('WXSIDECAR_TMP') ?: throw new \RuntimeException('start the tests with test.sh');
    }

    /**
     * Returns a TCP port of 127.0.0.1 that no program listens on, and each port once: the client remembers an outage
     * by its address. The ports are below those that systems use for outgoing connections. Otherwise another program
     * can take the port before the program that it is meant for. A file for each port keeps tests that run in parallel
     * from choosing the same one.
     */
    public static function freePort(): int
    {
        while (true) {
            $port = random_int(10_000, 19_999);
            $mine = @fopen(dirname(self::folder()) . "/port-$port", 'x');
            $socket = $mine ? @stream_socket_server("tcp://127.0.0.1:$port") : false;
            if ($mine) {
                fclose($mine);
            }
            if ($socket) {
                fclose($socket);

                return $port;
            }
        }
    }

    /** Returns what it has printed, on stdout and stderr. */
    public function output(): string
    {
        return (string) file_get_contents($this->output);
    }

    public function signal(int $signal): void
    {
        posix_kill($this->pid, $signal);
    }

    public function end(int $signal = SIGTERM): void
    {
        if (isset(self::$running[$this->pid])) {
            unset(self::$running[$this->pid]);
            $this->signal($signal);
            fclose($this->stdin);
            proc_close($this->handle); // waits
        }
    }

    public function endWithChildren(): void
    {
        $this->signal(SIGSTOP); // so that it starts no further ones
        $children = (string) file_get_contents("/proc/$this->pid/task/$this->pid/children");
        foreach (array_filter(explode(' ', trim($children))) as $child) {
            posix_kill((int) $child, SIGKILL);
        }
        $this->end(SIGKILL);
    }

    /** Waits until $ready returns something other than null and false. */
    public function await(string $what, \Closure $ready): mixed
    {
        return self::eventually($what, function () use ($what, $ready): mixed {
            if (!proc_get_status($this->handle)['running']) {
                throw new \RuntimeException("{$this->command[0]} ended before: $what\n{$this->output()}");
            }

            return $ready();
        });
    }

    public static function eventually(string $what, \Closure $ready): mixed
    {
        for ($end = microtime(true) + self::PATIENCE; microtime(true) < $end; usleep(2_000)) {
            $value = $ready();
            if ($value !== null && $value !== false) {
                return $value;
            }
        }

        throw new \RuntimeException("timeout: $what");
    }

    private static function endAll(): void
    {
        foreach (self::$running as $process) {
            $process->signal(SIGCONT);
            $process->end(SIGKILL);
        }
    }
}
