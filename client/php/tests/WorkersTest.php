<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

/** PHP processes that share APCu, as those of PHP-FPM do. */
final class WorkersTest extends TestCase
{
    private Process $server;
    private string $url;

    protected function setUp(): void
    {
        parent::setUp();
        $sidecar = $this->canned();
        $sidecar->answer(CannedServer::http(200, self::token(self::OTHER)));
        $port = Process::freePort();
        $this->server = new Process(
            [PHP_BINARY, '-d', 'display_errors=stderr', '-S', "127.0.0.1:$port", __DIR__ . '/worker.php'],
            [
                'PHP_CLI_SERVER_WORKERS' => '4',
                'MEMCACHED_PORT' => (string) $this->memcached->port,
                'SIDECAR' => $sidecar->address,
            ],
        );
        $this->url = "tcp://127.0.0.1:$port";
        $this->server->await('the workers', fn () => @stream_socket_client($this->url, $errno, $error, 1));
        $this->memcached->set('wx1', self::TOKEN);
    }

    protected function tearDown(): void
    {
        $this->server->endWithChildren(); // it does not end its workers itself
        parent::tearDown();
    }

    /**
     * Sends requests at the same time.
     *
     * @return list<array{pid: int, token: string, waited: bool}>
     */
    private function ask(int $n, float $now = 0): array
    {
        $streams = [];
        for ($i = 0; $i < $n; $i++) {
            $stream = stream_socket_client($this->url) ?: self::fail('no connection');
            fwrite($stream, "GET /?now=$now HTTP/1.0\r\n\r\n");
            $streams[] = $stream;
        }

        return array_map(static function ($stream): array {
            [, $body] = explode("\r\n\r\n", (string) stream_get_contents($stream), 2);

            return (array) json_decode($body, true, flags: JSON_THROW_ON_ERROR);
        }, $streams);
    }

    public function testWorkersShareAnOutage(): void
    {
        $this->memcached->freeze();
        self::assertTrue($this->ask(1)[0]['waited']);
        $answers = $this->ask(24);
        self::assertGreaterThan(1, count(array_unique(array_column($answers, 'pid'))), 'several workers answered');
        self::assertSame([hash('sha256', self::OTHER)], array_unique(array_column($answers, 'token')));
        self::assertNotContains(true, array_column($answers, 'waited'));
    }

    public function testOneWorkerProbes(): void
    {
        $this->memcached->freeze();
        $this->ask(1);
        $answers = $this->ask(24, 1.1);
        self::assertCount(1, array_filter(array_column($answers, 'waited')));
    }

    public function testSuccessfulProbeEndsTheOutageForAll(): void
    {
        $this->memcached->freeze();
        $this->ask(1);
        $this->memcached->thaw();
        self::assertSame(hash('sha256', self::OTHER), $this->ask(1)[0]['token'], 'within the pause');
        self::assertSame(hash('sha256', self::TOKEN), $this->ask(1, 1.1)[0]['token'], 'the probe');
        self::assertSame([hash('sha256', self::TOKEN)], array_unique(array_column($this->ask(12, 1.1), 'token')));
    }
}
