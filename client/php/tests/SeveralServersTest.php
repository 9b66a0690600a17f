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
            yield "$extension, a server that is frozen" => [$extension, 'freeze'];
            yield "$extension, a server that is gone" => [$extension, 'kill'];
        }
    }

    /** All servers, over connections of its own. */
    private function connect(string $extension): \Memcached|\Memcache
    {
        ini_set('memcache.allow_failover', $extension === 'memcache without failover' ? '0' : '1');
        $m = $this->pool[0]->client($extension === 'memcached' ? 'memcached' : 'memcache');
        foreach ([$this->pool[1]->port, $this->pool[2]->port] as $port) {
            $m instanceof \Memcached ? $m->addServer('127.0.0.1', $port) : @$m->addServer('127.0.0.1', $port);
        }

        return $m;
    }

    /** The place in the pool of a key's server. */
    private function home(string $extension, string $key): int
    {
        $m = $this->connect($extension);
        $server = $m instanceof \Memcached ? ':' . $m->getServerByKey($key)['port'] : $m->findServer($key);
        foreach ($this->pool as $i => $memcached) {
            if (str_ends_with($server, ":$memcached->port")) {
                return $i;
            }
        }
        self::fail("nobody's: $server");
    }

    /** Two AppIDs, the first of which has its token on the first server, and the second elsewhere. */
    private function accounts(string $extension): array
    {
        $accounts = [];
        for ($i = 0; count($accounts) < 2; $i++) {
            $home = $this->home($extension, "wx$i");
            $accounts[min($home, 1)] ??= "wx$i";
            if (in_array("wx$i", $accounts, true)) {
                $this->pool[$home]->set("wx$i", self::TOKEN);
            }
        }
        ksort($accounts);

        return $accounts;
    }

    /** Whether a pool of connections has met a server that fails. */
    private function met(\Memcached|\Memcache $m): bool
    {
        return $m instanceof \Memcached
            ? !in_array($m->getResultCode(), [\Memcached::RES_SUCCESS, \Memcached::RES_NOTFOUND], true)
            : $m->getServerStatus('127.0.0.1', $this->pool[0]->port) === 0;
    }

    /** @dataProvider failures */
    public function testAServerThatFailsCostsItsAccountsTheirEntriesAndNoMore(string $extension, string $fail): void
    {
        [$here, $elsewhere] = $this->accounts($extension);
        self::assertToken(self::TOKEN, (new Client($here, $this->connect($extension)))->accessToken());

        $this->pool[0]->$fail();
        for ($met = []; Clock::$now < 3; Clock::advance(0.5)) {
            // As a new request makes it: nothing is left of the one before but what Health remembers.
            $client = new Client($here, $m = $this->connect($extension), $this->sidecar->address);
            self::assertToken(self::OTHER, $client->accessToken(), 'the token of the sidecar');
            if ($this->met($m)) {
                $met[] = Clock::$now;
            }
            $token = $client->forAccount($elsewhere)->accessToken();
            self::assertToken(self::TOKEN, $token, 'another account over the same connections');
            $client = new Client($elsewhere, $m = $this->connect($extension), $this->sidecar->address);
            self::assertToken(self::TOKEN, $client->accessToken(), 'another account in another request');
            self::assertFalse($this->met($m), 'another account waits for nothing');
        }
        self::assertSame([0.0, 1.0], $met, 'pauses of 1 and 2 s');
        self::assertCount(6, $this->sidecar->requests(), 'one for each call of the one account');
    }

    /** @dataProvider failures */
    public function testAServerThatIsBackIsUsedAgain(string $extension, string $fail): void
    {
        [$here] = $this->accounts($extension);
        $client = fn () => new Client($here, $this->connect($extension), $this->sidecar->address);
        $this->pool[0]->$fail();
        self::assertToken(self::OTHER, $client()->accessToken());
        $fail === 'kill' ? $this->pool[0]->start() : $this->pool[0]->thaw();
        $this->pool[0]->set($here, self::TOKEN);
        self::assertToken(self::OTHER, $client()->accessToken(), 'within the pause');
        Clock::advance(1);
        self::assertToken(self::TOKEN, $client()->accessToken(), 'the probe');
        self::assertToken(self::TOKEN, $client()->accessToken(), 'after the probe');
    }

    /** The ticket of an account has a key of its own, and so perhaps another server than its token. */
    public function testATicketOnAnotherServerIsReadThere(): void
    {
        foreach (['memcached', 'memcache'] as $extension) {
            for ($i = 0; $this->home($extension, "wx$i") !== 0 || $this->home($extension, "wx$i:jsapi_ticket") !== 1;) {
                $i++;
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
