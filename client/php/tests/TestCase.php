<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Client;
use Wxsidecar\Exception;

/** Starts a memcached for every test, and ends what the test started. */
abstract class TestCase extends \PHPUnit\Framework\TestCase
{
    protected const TOKEN = 'canarytoken-0001';
    protected const OTHER = 'canarytoken-0002';

    protected Memcached $memcached;
    /** @var list<RealSidecar|CannedServer> */
    private array $started = [];

    protected function setUp(): void
    {
        Clock::$now = 0;
        $this->memcached = new Memcached();
    }

    protected function tearDown(): void
    {
        $this->memcached->thaw();
        $this->memcached->kill();
        foreach ($this->started as $it) {
            $it->end();
        }
        FakeWechat::get()->fail(0);
    }

    /** @return array<string, array{string}> */
    public function extensions(): array
    {
        return ['php-memcached' => ['memcached'], 'php-memcache' => ['memcache']];
    }

    /** Returns a table that Go tests too. */
    protected static function table(string $name): mixed
    {
        $file = (string) file_get_contents(__DIR__ . "/../../testdata/$name.json");

        return json_decode($file, flags: JSON_THROW_ON_ERROR);
    }

    protected function canned(string $scheme = 'tcp'): CannedServer
    {
        return $this->started[] = new CannedServer($scheme);
    }

    /** @param array<string, string> $environment */
    protected function sidecar(string $appId, bool $unix = false, array $environment = []): RealSidecar
    {
        return $this->started[] = new RealSidecar($appId, $this->memcached, $unix, $environment);
    }

    /** Returns a Client of wx1 with a memcached and without a sidecar. */
    protected function alone(string $extension): Client
    {
        return new Client('wx1', $this->memcached->client($extension), 'http://127.0.0.1:' . Process::freePort());
    }

    /** Runs $call with the variables for a proxy. */
    protected function withProxy(CannedServer $proxy, \Closure $call): void
    {
        $names = ['http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY', 'https_proxy', 'HTTPS_PROXY'];
        array_map(static fn (string $name) => putenv("$name=$proxy->address"), $names);
        try {
            $call();
        } finally {
            array_map(putenv(...), $names);
        }
    }

    /**
     * @template T of Exception
     * @param class-string<T> $class
     * @return T
     */
    protected function assertFails(string $class, \Closure $call): Exception
    {
        try {
            $call();
        } catch (Exception $e) {
            self::assertInstanceOf($class, $e, $e->getMessage());
            $this->assertClean($e);

            return $e;
        }
        self::fail("no $class");
    }

    /**
     * Asserts that an exception shows neither a token nor a secret: not in its messages, nor in the library's part of
     * its trace with all arguments. A failure does not print them.
     */
    protected function assertClean(\Throwable $e): void
    {
        self::assertSame('0', ini_get('zend.exception_ignore_args'), 'traces have arguments in this run');
        $forms = '';
        for (; $e !== null; $e = $e->getPrevious()) {
            $forms .= $e->getMessage() . print_r(get_object_vars($e), true);
            foreach ($e->getTrace() as $frame) {
                if (str_starts_with($frame['class'] ?? '', __NAMESPACE__ . '\\')) {
                    break; // the rest belongs to the test
                }
                $forms .= print_r($frame, true);
            }
        }
        self::assertFalse(str_contains($forms, 'canarytoken'), 'an exception shows a token');
        self::assertFalse(str_contains($forms, 'canarysecret'), 'an exception shows a secret');
    }

    /** Compares tokens without printing them. */
    protected static function assertToken(string $want, string $got, string $claim = 'the token'): void
    {
        self::assertSame(hash('sha256', $want), hash('sha256', $got), $claim);
    }

    protected static function token(string $token): string
    {
        return (string) json_encode(['access_token' => $token, 'expires_in' => 3000]);
    }
}
