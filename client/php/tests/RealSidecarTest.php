<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Client;
use Wxsidecar\InvalidArgument;
use Wxsidecar\Refused;
use Wxsidecar\SidecarUnavailable;

/** A real sidecar with a fake WeChat. */
final class RealSidecarTest extends TestCase
{
    /** @return array<string, array{bool}> */
    public function networks(): array
    {
        return ['over TCP' => [false], 'over a unix socket' => [true]];
    }

    /** @dataProvider networks */
    public function testTokenFromSidecarAndMemcached(bool $unix): void
    {
        $appId = FakeWechat::get()->account();
        $sidecar = $this->sidecar($appId, $unix);
        $token = (new Client($appId, sidecar: $sidecar->address))->accessToken();
        Process::eventually('the entry', fn () => $this->memcached->get($appId));
        $sidecar->end();
        foreach ($this->extensions() as [$extension]) {
            $client = new Client($appId, $this->memcached->client($extension), $sidecar->address);
            self::assertToken($token, $client->accessToken(), "$extension, without the sidecar");
        }
        self::assertSame(1, FakeWechat::get()->issues($appId));
    }

    /** @dataProvider networks */
    public function testReportsOfOneTokenShareARenewal(bool $unix): void
    {
        $appId = FakeWechat::get()->account();
        $client = new Client($appId, sidecar: $this->sidecar($appId, $unix)->address);
        $old = $client->accessToken();
        $new = $client->refresh($old);
        self::assertNotSame(hash('sha256', $old), hash('sha256', $new));
        self::assertToken($new, $client->refresh($old), 'another caller, with the same report');
        self::assertToken($new, $client->refresh(''), 'nothing reported');
        self::assertToken($new, $client->accessToken());
        self::assertSame(2, FakeWechat::get()->issues($appId));

        $e = $this->assertFails(Refused::class, fn () => $client->refresh($new));
        self::assertSame(429, $e->errcode);
        self::assertSame(429, $e->getCode());
        self::assertNotSame('', $e->errmsg);
        self::assertGreaterThan(0, $e->retryAfter);
        self::assertLessThanOrEqual(31, $e->retryAfter);
        self::assertStringContainsString("retry after $e->retryAfter s", $e->getMessage());
        self::assertStringStartsWith("refresh access_token of $appId: ", $e->getMessage());
    }

    public function testWechatErrcodeAndRid(): void
    {
        FakeWechat::get()->fail(40164);
        $appId = FakeWechat::get()->account();
        $client = new Client($appId, sidecar: $this->sidecar($appId)->address);
        $e = $this->assertFails(Refused::class, fn () => $client->accessToken());
        self::assertSame(40164, $e->errcode);
        self::assertMatchesRegularExpression('/1\.2\.3\.4.* rid: /', $e->errmsg);
        self::assertStringContainsString('whitelist', (string) $e->hint);
        self::assertGreaterThan(0, $e->retryAfter);
        self::assertStringContainsString((string) $e->hint, $e->getMessage());
    }

    public function testNoTokenHasRetryAfter(): void
    {
        FakeWechat::get()->fail(-1);
        $appId = FakeWechat::get()->account();
        $client = new Client($appId, sidecar: $this->sidecar($appId)->address);
        $e = $this->assertFails(Refused::class, fn () => $client->accessToken());
        self::assertSame(-1, $e->errcode);
        self::assertGreaterThan(0, $e->retryAfter);
    }

    public function testUnknownAccountIs40013(): void
    {
        $client = new Client('wxother', sidecar: $this->sidecar(FakeWechat::get()->account())->address);
        $e = $this->assertFails(Refused::class, fn () => $client->accessToken());
        self::assertSame(40013, $e->errcode);
        self::assertNull($e->retryAfter);
    }

    /** @return array<string, array{string, bool}> */
    public function tickets(): array
    {
        return ['jsapi over TCP' => ['jsapi', false], 'wx_card over a unix socket' => ['wx_card', true]];
    }

    /** @dataProvider tickets */
    public function testTicketAndItsReport(string $kind, bool $unix): void
    {
        $appId = FakeWechat::get()->account();
        $sidecar = $this->sidecar($appId, $unix, ['WECHAT_TICKETS' => $kind]);
        $client = new Client($appId, sidecar: $sidecar->address);
        $ticket = $client->ticket($kind);
        self::assertSame(0, FakeWechat::get()->ticketErrcode($ticket));
        FakeWechat::get()->invalidateTickets($appId);
        $ticket = $client->refreshTicket($kind, $ticket);
        self::assertSame(0, FakeWechat::get()->ticketErrcode($ticket));
        $unused = 'http://127.0.0.1:' . Process::freePort();
        foreach ($this->extensions() as [$extension]) {
            $reader = new Client($appId, $this->memcached->client($extension), $unused);
            self::assertToken($ticket, $reader->ticket($kind), "$extension, without the sidecar");
        }
        self::assertSame(1, FakeWechat::get()->issues($appId), 'one token for the ticket');
    }

    public function testUnconfiguredTicketIs404(): void
    {
        $appId = FakeWechat::get()->account();
        $client = new Client($appId, sidecar: $this->sidecar($appId)->address);
        $get = fn () => $client->ticket('jsapi');
        $refresh = fn () => $client->refreshTicket('wx_card', self::TOKEN);
        self::assertSame(404, $this->assertFails(Refused::class, $get)->errcode);
        self::assertSame(404, $this->assertFails(Refused::class, $refresh)->errcode);
    }

    public function testBearerIsReadForEveryRequest(): void
    {
        $appId = FakeWechat::get()->account();
        $file = Process::folder() . "/bearer-$appId";
        file_put_contents($file, "canarysecret-bearer\n");
        $address = $this->sidecar($appId, false, ['SIDECAR_AUTH_TOKEN_FILE' => $file])->address;
        $mine = "$file-client";
        $client = new Client($appId, sidecar: $address, bearerFile: $mine);
        $e = $this->assertFails(SidecarUnavailable::class, fn () => $client->accessToken());
        self::assertStringContainsString($mine, $e->getMessage());
        file_put_contents($mine, 'canarysecret-wrong');
        self::assertSame(401, $this->assertFails(Refused::class, fn () => $client->accessToken())->errcode);
        copy($file, $mine);
        self::assertNotSame('', $client->accessToken());
        $without = new Client($appId, sidecar: $address);
        self::assertSame(401, $this->assertFails(Refused::class, fn () => $without->accessToken())->errcode);
    }

    public function testHttpsWithItsOwnCa(): void
    {
        $appId = FakeWechat::get()->account();
        $pair = Process::folder() . "/https-$appId";
        exec("openssl req -x509 -newkey rsa:2048 -nodes -keyout $pair.key -out $pair.crt -days 2 -subj /CN=sidecar"
            . ' -addext subjectAltName=IP:127.0.0.1 2>&1', $output, $status);
        self::assertSame(0, $status, implode("\n", $output));
        $files = ['SIDECAR_TLS_CERT_FILE' => "$pair.crt", 'SIDECAR_TLS_KEY_FILE' => "$pair.key"];
        $plain = $this->sidecar($appId, false, $files)->address;
        $address = 'https' . substr($plain, strlen('http'));
        self::assertNotSame('', (new Client($appId, sidecar: $address, caFile: "$pair.crt"))->accessToken());
        $untrusted = new Client($appId, sidecar: $address); // PHP's CA is the fake WeChat's
        $e = $this->assertFails(SidecarUnavailable::class, fn () => $untrusted->accessToken());
        self::assertStringContainsString('certificate', $e->getMessage());
        $http = new Client($appId, sidecar: $plain);
        $e = $this->assertFails(Refused::class, fn () => $http->accessToken());
        self::assertStringContainsString('https', $e->getMessage());
        $this->assertFails(InvalidArgument::class, fn () => new Client($appId, sidecar: $plain, caFile: "$pair.crt"));
    }

    /** @dataProvider networks */
    public function testMessageNamesTheSidecar(bool $unix): void
    {
        $address = $unix ? 'unix://' . Process::folder() . '/none.sock' : 'http://127.0.0.1:' . Process::freePort();
        $client = new Client('wx1', sidecar: $address);
        $e = $this->assertFails(SidecarUnavailable::class, fn () => $client->accessToken());
        self::assertStringStartsWith("get access_token of wx1: sidecar at $address: ", $e->getMessage());
        $e = $this->assertFails(SidecarUnavailable::class, fn () => $client->refresh(self::TOKEN));
        self::assertStringStartsWith("refresh access_token of wx1: sidecar at $address: ", $e->getMessage());
    }
}
