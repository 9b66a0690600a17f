<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Client;
use Wxsidecar\SidecarUnavailable;

final class OutageTest extends TestCase
{
    private CannedServer $sidecar;

    protected function setUp(): void
    {
        parent::setUp();
        $this->memcached->set('wx1', self::TOKEN);
        $this->sidecar = $this->canned();
        $this->sidecar->answer(CannedServer::http(200, self::token(self::OTHER)));
    }

    /** Returns the Client of a new PHP request: only Health remembers the one before. */
    private function client(string $extension): Client
    {
        return new Client('wx1', $this->memcached->client($extension), $this->sidecar->address);
    }

    /** Reports whether the next PHP request waits for the frozen memcached. */
    private function waits(string $extension): bool
    {
        $m = $this->memcached->client($extension);
        $start = microtime(true);
        $token = (new Client('wx1', $m, $this->sidecar->address))->accessToken();
        self::assertLessThan(4, microtime(true) - $start, 'one timeout of memcached, and the sidecar');
        self::assertToken(self::OTHER, $token, 'the token of the sidecar');

        return $m instanceof \Memcached
            ? $m->getResultCode() === \Memcached::RES_TIMEOUT
            : $m->getServerStatus('127.0.0.1', $this->memcached->port) === 0;
    }

    public function testOneTimeoutPerPause(): void
    {
        $this->memcached->freeze();
        for ($waited = []; Clock::$now < 40; Clock::advance(0.5)) {
            if ($this->waits('memcached')) {
                $waited[] = Clock::$now;
            }
        }
        self::assertSame([0.0, 1.0, 3.0, 7.0, 15.0, 25.0, 35.0], $waited, 'pauses of 1, 2, 4, 8, 10, 10 s');
    }

    /** @dataProvider extensions */
    public function testFrozenMemcachedCostsOneTimeout(string $extension): void
    {
        $this->memcached->freeze();
        self::assertTrue($this->waits($extension));
        for ($i = 0; $i < 5; $i++) {
            self::assertFalse($this->waits($extension));
        }
    }

    /** @dataProvider extensions */
    public function testRecoveredMemcachedIsUsedAgain(string $extension): void
    {
        $this->memcached->kill();
        self::assertToken(self::OTHER, $this->client($extension)->accessToken());
        $this->memcached->start();
        $this->memcached->set('wx1', self::TOKEN);
        self::assertToken(self::OTHER, $this->client($extension)->accessToken(), 'within the pause');
        self::assertSame(0, $this->memcached->gets(), 'within the pause');
        Clock::advance(1);
        self::assertToken(self::TOKEN, $this->client($extension)->accessToken(), 'the probe');
        self::assertToken(self::TOKEN, $this->client($extension)->accessToken(), 'after the probe');
        self::assertSame(2, $this->memcached->gets());

        $this->memcached->kill();
        self::assertToken(self::OTHER, $this->client($extension)->accessToken(), 'a later outage');
        $this->memcached->start();
        $this->memcached->set('wx1', self::TOKEN);
        Clock::advance(1);
        self::assertToken(self::TOKEN, $this->client($extension)->accessToken(), 'starts with the first pause');
    }

    /** \Memcache marks a server that failed. From then on it returns false, as for a miss. */
    public function testMemcacheFailedServerIsNoMiss(): void
    {
        $this->memcached->kill();
        $client = $this->client('memcache');
        self::assertToken(self::OTHER, $client->accessToken());
        Clock::advance(1);
        self::assertToken(self::OTHER, $client->accessToken(), 'a probe that fails without an error');
        $this->memcached->start();
        $this->memcached->set('wx1', self::TOKEN);
        Clock::advance(1.5);
        self::assertToken(self::OTHER, $this->client('memcache')->accessToken(), 'the second pause of 2 s');
        Clock::advance(0.5);
        self::assertToken(self::TOKEN, $this->client('memcache')->accessToken());
    }

    /** @dataProvider extensions */
    public function testMemcachedIsAskedIfTheSidecarIsDown(string $extension): void
    {
        $this->memcached->kill();
        self::assertToken(self::OTHER, $this->client($extension)->accessToken());
        $this->memcached->start();
        $this->memcached->set('wx1', self::TOKEN);
        $this->sidecar->end();
        self::assertToken(self::TOKEN, $this->client($extension)->accessToken());
        $gets = $this->memcached->gets();
        self::assertToken(self::TOKEN, $this->client($extension)->accessToken());
        self::assertSame(1, $this->memcached->gets() - $gets, 'the outage is over');
    }

    /** @dataProvider extensions */
    public function testMessageNamesBothFailures(string $extension): void
    {
        $this->memcached->kill();
        $this->sidecar->end();
        foreach (['a probe', 'within the pause'] as $how) {
            $client = $this->client($extension);
            $e = $this->assertFails(SidecarUnavailable::class, fn () => $client->accessToken());
            self::assertStringContainsString('get access_token of wx1', $e->getMessage(), $how);
            self::assertStringContainsString($this->sidecar->address, $e->getMessage(), $how);
            self::assertStringContainsString('check the address', $e->getMessage(), $how);
            self::assertStringContainsString('and memcached: ', $e->getMessage(), $how);
        }
    }

    public function testNoServersMeansTheSidecar(): void
    {
        foreach ([new \Memcached(), new \Memcache()] as $m) {
            self::assertToken(self::OTHER, (new Client('wx1', $m, $this->sidecar->address))->accessToken());
        }
    }
}
