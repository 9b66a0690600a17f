<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Client;

/** Three real memcacheds, the first of which fails. */
final class SeveralServersTest extends TestCase
{
    /** @var list<Memcached> */
    private array $pool;
    private CannedServer $sidecar;

    protected function setUp(): void
    {
        parent::setUp();
        $this->pool = [$this->memcached, new Memcached(), new Memcached()];
        $this->sidecar = $this->canned();
        $this->sidecar->answer(CannedServer::http(200, self::token(self::OTHER)));
    }

    protected function tearDown(): void
    {
        ini_restore('memcache.allow_failover');
        $this->pool[1]->kill();
        $this->pool[2]->kill();
        parent::tearDown();
    }

    /** @return iterable<string, array{string, string}> */
    public function failures(): iterable
    {
        foreach (['memcached', 'memcache', 'memcache without failover'] as $extension) {
            yield "$extension, frozen" => [$extension, 'freeze'];
            yield "$extension, killed" => [$extension, 'kill'];
        }
    }

    /** Returns an extension with all servers and new connections. */
    private function connect(string $extension): \Memcached|\Memcache
    {
        ini_set('memcache.allow_failover', $extension === 'memcache without failover' ? '0' : '1');
        $m = $this->pool[0]->client(str_starts_with($extension, 'memcached') ? 'memcached' : 'memcache');
        foreach ([$this->pool[1]->port, $this->pool[2]->port] as $port) {
            $m instanceof \Memcached ? $m->addServer('127.0.0.1', $port) : @$m->addServer('127.0.0.1', $port);
        }
        if (str_starts_with($extension, 'memcached with ejection')) {
            $m->setOption(\Memcached::OPT_LIBKETAMA_COMPATIBLE, $extension === 'memcached with ejection');
            $m->setOptions([\Memcached::OPT_REMOVE_FAILED_SERVERS => true, \Memcached::OPT_SERVER_FAILURE_LIMIT => 1]);
            $m->setOption(\Memcached::OPT_RETRY_TIMEOUT, 30);
        }

        return $m;
    }

    /** Returns the index of a key's server in the pool. */
    private function serverOf(string $extension, string $key): int
    {
        $m = $this->connect($extension);
        $server = $m instanceof \Memcached ? ':' . $m->getServerByKey($key)['port'] : $m->findServer($key);
        foreach ($this->pool as $i => $memcached) {
            if (str_ends_with($server, ":$memcached->port")) {
                return $i;
            }
        }
        self::fail("unknown server $server");
    }

    /** Returns two AppIDs: one with its token on the first server, and one on another server. */
    private function accounts(string $extension): array
    {
        $accounts = [];
        for ($i = 0; count($accounts) < 2; $i++) {
            $server = $this->serverOf($extension, "wx$i");
            $accounts[min($server, 1)] ??= "wx$i";
            if (in_array("wx$i", $accounts, true)) {
                $this->pool[$server]->set("wx$i", self::TOKEN);
            }
        }
        ksort($accounts);

        return $accounts;
    }

    /** Reports whether an extension has waited for a server that fails. */
    private function waited(\Memcached|\Memcache $m): bool
    {
        return $m instanceof \Memcached
            ? !in_array($m->getResultCode(), [\Memcached::RES_SUCCESS, \Memcached::RES_NOTFOUND], true)
            : $m->getServerStatus('127.0.0.1', $this->pool[0]->port) === 0;
    }

    /** @dataProvider failures */
    public function testFailedServerAffectsItsOwnAccountsOnly(string $extension, string $fail): void
    {
        [$affected, $other] = $this->accounts($extension);
        self::assertToken(self::TOKEN, (new Client($affected, $this->connect($extension)))->accessToken());

        $this->pool[0]->$fail();
        for ($waited = []; Clock::$now < 3; Clock::advance(0.5)) {
            // A new PHP request: only Health remembers the one before.
            $client = new Client($affected, $m = $this->connect($extension), $this->sidecar->address);
            self::assertToken(self::OTHER, $client->accessToken(), 'the token of the sidecar');
            if ($this->waited($m)) {
                $waited[] = Clock::$now;
            }
            $token = $client->forAccount($other)->accessToken();
            self::assertToken(self::TOKEN, $token, 'another account over the same connections');
            $client = new Client($other, $m = $this->connect($extension), $this->sidecar->address);
            self::assertToken(self::TOKEN, $client->accessToken(), 'another account in another request');
            self::assertFalse($this->waited($m), 'another account does not wait');
        }
        self::assertSame([0.0, 1.0], $waited, 'pauses of 1 and 2 s');
        self::assertCount(6, $this->sidecar->requests(), 'one for each call of the first account');
    }

    /** @dataProvider failures */
    public function testRecoveredServerIsUsedAgain(string $extension, string $fail): void
    {
        [$affected] = $this->accounts($extension);
        $client = fn () => new Client($affected, $this->connect($extension), $this->sidecar->address);
        $this->pool[0]->$fail();
        self::assertToken(self::OTHER, $client()->accessToken());
        $fail === 'kill' ? $this->pool[0]->start() : $this->pool[0]->thaw();
        $this->pool[0]->set($affected, self::TOKEN);
        self::assertToken(self::OTHER, $client()->accessToken(), 'within the pause');
        Clock::advance(1);
        self::assertToken(self::TOKEN, $client()->accessToken(), 'the probe');
        self::assertToken(self::TOKEN, $client()->accessToken(), 'after the probe');
    }

    /** @return iterable<string, array{string, bool}> */
    public function failovers(): iterable
    {
        foreach (['memcached with ejection', 'memcached with ejection, no ketama', 'memcache'] as $extension) {
            yield "$extension" => [$extension, false];
            yield "$extension, after an earlier PHP request" => [$extension, true];
        }
    }

    /**
     * By default \Memcache asks another server for the keys of one that failed, and \Memcached does so with
     * OPT_REMOVE_FAILED_SERVERS. An entry there is of an earlier pool, and up to an hour old. Persistent connections
     * keep the failure beyond the PHP request.
     *
     * @dataProvider failovers
     */
    public function testHitOfAnotherServerIsNotUsed(string $extension, bool $failedBefore): void
    {
        [$affected] = $this->accounts($extension);
        foreach ($this->pool as $memcached) {
            $memcached->set($affected, 'canarytoken-of-an-earlier-pool');
        }
        $this->pool[0]->set($affected, self::TOKEN);
        $m = $this->connect($extension);
        $client = new Client($affected, $m, $this->sidecar->address);
        if (!$failedBefore) {
            self::assertToken(self::TOKEN, $client->accessToken());
        }
        $this->pool[0]->kill();
        for ($n = 0; $failedBefore && $n < 4; $n++) {
            @$m->get($affected);
        }
        for (; Clock::$now < 20; Clock::advance(0.5)) {
            self::assertToken(self::OTHER, $client->accessToken(), 'the token of the sidecar');
        }
    }

    /** A ticket has its own key, which can be on another server than the token. */
    public function testTicketOnAnotherServer(): void
    {
        foreach (['memcached', 'memcache'] as $extension) {
            $servers = fn (int $i): array => [
                $this->serverOf($extension, "wx$i"),
                $this->serverOf($extension, "wx$i:jsapi_ticket"),
            ];
            for ($i = 0; $servers($i) !== [0, 1]; $i++) {
                continue;
            }
            $this->pool[1]->set("wx$i:jsapi_ticket", self::TOKEN);
            $this->pool[0]->kill();
            $client = new Client("wx$i", $this->connect($extension), $this->sidecar->address);
            self::assertToken(self::OTHER, $client->accessToken());
            self::assertToken(self::TOKEN, $client->ticket('jsapi'));
            self::assertToken(self::OTHER, $client->accessToken());
            $this->pool[0]->start();
        }
    }
}
