<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Client;

/** Four children with two accounts, as the workers of a pool. */
final class ForkTest extends TestCase
{
    private const READS = 300;

    private CannedServer $sidecar;
    private string $log;

    protected function setUp(): void
    {
        parent::setUp();
        $this->memcached->set('wx1', self::TOKEN);
        $this->memcached->set('wx2', self::OTHER);
        $this->sidecar = $this->canned();
        $this->sidecar->answer(CannedServer::http(200, self::token('canarytoken-of-the-sidecar')));
        $this->log = Process::folder() . '/error_log';
        file_put_contents($this->log, '');
        ini_set('error_log', $this->log);
    }

    protected function tearDown(): void
    {
        ini_restore('error_log');
        parent::tearDown();
    }

    /**
     * Forks, and lets each child read its own account.
     *
     * @param \Closure(int): Client $client of a child
     * @return list<array<string, int>> for each child, how often it read which token
     */
    private function fork(\Closure $client, int $reads = self::READS): array
    {
        $children = [];
        for ($i = 0; $i < 4; $i++) {
            $file = (string) tempnam(Process::folder(), 'read');
            $child = pcntl_fork();
            if ($child === 0) {
                $mine = $client($i);
                for ($n = 0, $read = []; $n < $reads; $n++) {
                    $token = $mine->accessToken();
                    $read[$token] = ($read[$token] ?? 0) + 1;
                }
                file_put_contents($file, json_encode($read));
                posix_kill((int) getmypid(), SIGKILL); // without the shutdown functions of the tests
            }
            $children[$child] = $file;
        }
        foreach ($children as $child => $file) {
            pcntl_waitpid($child, $status);
            $children[$child] = (array) json_decode((string) file_get_contents($file), true);
        }

        return array_values($children);
    }

    /** @param list<array<string, int>> $read */
    private static function assertOwnTokens(array $read): void
    {
        foreach ($read as $i => $tokens) {
            $own = $tokens[$i % 2 === 0 ? self::TOKEN : self::OTHER] ?? 0;
            self::assertSame(self::READS, $own, "reads of child $i with the token of its own account");
        }
    }

    /** @return array{Client, Client} the Clients of two accounts, which have read */
    private function read(\Memcached|\Memcache|\Closure $memcached): array
    {
        $first = new Client('wx1', $memcached, $this->sidecar->address);
        $second = $first->forAccount('wx2');
        self::assertToken(self::TOKEN, $first->accessToken());
        self::assertToken(self::OTHER, $second->accessToken());

        return [$first, $second];
    }

    /** @dataProvider extensions */
    public function testClosureGivesChildrenTheirOwnConnection(string $extension): void
    {
        $clients = $this->read(fn () => $this->memcached->client($extension));
        self::assertOwnTokens($this->fork(static fn (int $i): Client => $clients[$i % 2]));
        self::assertSame([], $this->sidecar->requests());
        self::assertToken(self::TOKEN, $clients[0]->accessToken(), 'the parent, over its connection');
        self::assertSame([], $this->sidecar->requests());
        self::assertSame('', file_get_contents($this->log));
    }

    /** @dataProvider extensions */
    public function testChildrenWithAnObjectAskTheSidecar(string $extension): void
    {
        $clients = $this->read($this->memcached->client($extension));
        foreach ($this->fork(static fn (int $i): Client => $clients[$i % 2], 3) as $tokens) {
            self::assertTrue($tokens === ['canarytoken-of-the-sidecar' => 3]);
        }
        self::assertToken(self::TOKEN, $clients[0]->accessToken(), 'the parent, over its connection');
        self::assertCount(12, $this->sidecar->requests());
        $lines = (array) file($this->log, FILE_IGNORE_NEW_LINES);
        self::assertCount(4, $lines, 'one for each child');
        self::assertStringContainsString('give Wxsidecar\Client a closure', $lines[0]);
    }

    /** @return iterable<string, array{\Closure(Memcached): (\Memcached|\Memcache|\Closure)}> */
    public function objectsOfTheParent(): iterable
    {
        foreach (['memcached', 'memcache'] as $extension) {
            yield "$extension, a closure with the same object" => [function (Memcached $m) use ($extension): \Closure {
                $object = $m->client($extension);

                return fn () => $object;
            }];
        }
        yield 'a persistent id' => [fn (Memcached $m): \Closure => function () use ($m): \Memcached {
            $pool = new \Memcached("pool $m->port");
            $pool->getServerList() === [] && $pool->addServer('127.0.0.1', $m->port);

            return $pool;
        }];
    }

    /** @dataProvider objectsOfTheParent */
    public function testClosureWithTheParentsConnection(\Closure $source): void
    {
        $clients = $this->read($source($this->memcached));
        foreach ($this->fork(static fn (int $i): Client => $clients[$i % 2], 3) as $tokens) {
            self::assertTrue($tokens === ['canarytoken-of-the-sidecar' => 3]);
        }
        self::assertCount(4, (array) file($this->log), 'a line for each child');
        self::assertToken(self::TOKEN, $clients[0]->accessToken(), 'the parent, over its connection');
    }

    /**
     * Two Clients with one object, one of which has read before the fork.
     *
     * @dataProvider extensions
     */
    public function testObjectOfAnotherClient(string $extension): void
    {
        $m = $this->memcached->client($extension);
        self::assertToken(self::TOKEN, (new Client('wx1', $m))->accessToken());
        $other = new Client('wx2', $m, $this->sidecar->address);
        foreach ($this->fork(static fn (): Client => $other, 3) as $tokens) {
            self::assertTrue($tokens === ['canarytoken-of-the-sidecar' => 3]);
        }
    }

    /**
     * A pool that builds its Client first and then forks.
     *
     * @dataProvider extensions
     */
    public function testForkBeforeTheFirstRead(string $extension): void
    {
        $first = new Client('wx1', $this->memcached->client($extension), $this->sidecar->address);
        $clients = [$first, $first->forAccount('wx2')];
        self::assertOwnTokens($this->fork(static fn (int $i): Client => $clients[$i % 2]));
        self::assertSame([], $this->sidecar->requests());
        self::assertSame('', file_get_contents($this->log));
    }

    /**
     * The app itself shares its connection with its children. What they read belongs to other keys, but is never used.
     *
     * @dataProvider extensions
     */
    public function testAnswersForOtherKeysAreNotUsed(string $extension): void
    {
        $m = $this->memcached->client($extension);
        $m->get('wx1');
        $read = $this->fork(fn (int $i): Client => new Client('wx' . ($i % 2 + 1), $m, $this->sidecar->address));
        foreach ($read as $i => $tokens) {
            $other = $i % 2 === 0 ? self::OTHER : self::TOKEN;
            self::assertArrayNotHasKey($other, $tokens, 'a token of the other account');
            self::assertSame(self::READS, array_sum($tokens));
        }
    }

    public function testClosureThatFails(): void
    {
        $closures = [
            fn () => throw new \RuntimeException('canarysecret'),
            fn () => new \stdClass(),
        ];
        foreach ($closures as $i => $closure) {
            $client = new Client('wx1', $closure, $this->sidecar->address);
            self::assertToken('canarytoken-of-the-sidecar', $client->accessToken());
            self::assertToken('canarytoken-of-the-sidecar', $client->accessToken());
            $lines = (array) file($this->log, FILE_IGNORE_NEW_LINES);
            self::assertCount($i + 1, $lines, 'one for each Client');
            self::assertMatchesRegularExpression('/(RuntimeException in .*ForkTest|TypeError in .*)\.php/', $lines[$i]);
            self::assertStringNotContainsString('canarysecret', $lines[$i]);
        }
    }
}
