<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Client;
use Wxsidecar\Refused;
use Wxsidecar\SidecarUnavailable;

/** Logins of users. */
final class LoginTest extends TestCase
{
    private const CODE = 'canarytoken-code';

    /** @dataProvider networks */
    public function testRealSidecar(bool $unix): void
    {
        $appId = FakeWechat::get()->account();
        $client = new Client($appId, sidecar: $this->sidecar($appId, $unix, ['SIDECAR_LOGIN' => 'true'])->address);
        $session = $client->login(self::CODE);
        self::assertSame(['openid', 'session_key', 'unionid'], self::names($session));
        self::assertToken('canarytoken-openid-' . self::CODE, $session['openid']);
        $e = $this->assertFails(Refused::class, fn () => $client->login(self::CODE));
        self::assertSame([40163, null], [$e->errcode, $e->retryAfter]);
        self::assertStringStartsWith("login of $appId: ", $e->getMessage());
        $e = $this->assertFails(Refused::class, fn () => $client->oauth('canarytoken-invalid'));
        self::assertSame(40029, $e->errcode);
        self::assertStringStartsWith("oauth of $appId: ", $e->getMessage());
        $user = $client->oauth(self::CODE);
        $names = ['access_token', 'expires_in', 'is_snapshotuser', 'openid', 'refresh_token', 'scope', 'unionid'];
        self::assertSame($names, self::names($user));
        self::assertSame(7200, $user['expires_in']);
        $this->assertFails(Refused::class, fn () => $client->login('the code is a mock one'));
        $this->assertFails(Refused::class, fn () => $client->login("canarytoken\xff"));
    }

    /** @return array<string, array{bool}> */
    public function networks(): array
    {
        return ['over TCP' => [false], 'over a unix socket' => [true]];
    }

    public function testOffIs404AndNamesTheVariable(): void
    {
        $appId = FakeWechat::get()->account();
        $client = new Client($appId, sidecar: $this->sidecar($appId)->address);
        foreach ([fn () => $client->login(self::CODE), fn () => $client->oauth(self::CODE)] as $call) {
            $e = $this->assertFails(Refused::class, $call);
            self::assertSame(404, $e->errcode);
            self::assertStringContainsString('SIDECAR_LOGIN', $e->getMessage());
        }
    }

    /** curl sends a request again if a connection that it reuses has ended. It does not do so with a code. */
    public function testSidecarThatReadsAndClosesGetsTheCodeOnce(): void
    {
        $server = $this->canned();
        $client = new Client('wx1', sidecar: $server->address);
        foreach ([fn () => $client->login(self::CODE), fn () => $client->oauth(self::CODE)] as $call) {
            $server->answer(CannedServer::keepAlive(self::token(self::TOKEN)));
            $client->accessToken();
            $before = count($server->requests());
            $server->answer('Connection: close');
            $this->assertFails(SidecarUnavailable::class, $call);
            self::assertCount($before + 1, $server->requests());
        }
        $server->answer(CannedServer::keepAlive('{"openid":"o"}'));
        $client->login(self::CODE);
        $client->login(self::CODE);
        $connections = array_column($server->requests(), 'connection');
        self::assertCount(2, array_unique(array_slice($connections, -2)), 'each has a connection of its own');
    }

    /** @dataProvider answers */
    public function testAnswersOfOtherServers(string $body): void
    {
        $server = $this->canned();
        $server->answer(CannedServer::http(200, $body));
        $client = new Client('wx1', sidecar: $server->address);
        $e = $this->assertFails(SidecarUnavailable::class, fn () => $client->login(self::CODE));
        self::assertStringContainsString('check the address', $e->getMessage());
    }

    /** @return array<string, array{string}> as in Go */
    public function answers(): array
    {
        return [
            'a page' => ['<html>canarytoken'],
            'no openid' => ['{"session_key":"canarytoken-key"}'],
            'null' => ['null'],
            'a list' => ['[]'],
            'a number as openid' => ['{"openid":1}'],
        ];
    }

    public function testErrmsgIsRedacted(): void
    {
        $server = $this->canned();
        $refusal = ['errcode' => 40029, 'errmsg' => 'invalid code ' . self::CODE, 'hint' => 'get another one'];
        $server->answer(CannedServer::http(502, (string) json_encode($refusal)));
        $client = new Client('wx1', sidecar: $server->address);
        $e = $this->assertFails(Refused::class, fn () => $client->login(self::CODE));
        self::assertSame(['invalid code [redacted]', 'get another one'], [$e->errmsg, $e->hint]);
        [$request] = $server->requests();
        self::assertStringStartsWith('POST /v1/wx1/login HTTP/1.', $request['text']);
        self::assertTrue(str_ends_with($request['text'], "\r\n\r\n" . '{"js_code":"' . self::CODE . '"}'));
    }

    public function testRetryAfterSaysThatTheCodeCanBeSentAgain(): void
    {
        $server = $this->canned();
        $server->answer(CannedServer::http(503, '{"errcode":-1,"errmsg":"too many open logins"}', 'Retry-After: 1'));
        $client = new Client('wx1', sidecar: $server->address);
        self::assertSame(1, $this->assertFails(Refused::class, fn () => $client->login(self::CODE))->retryAfter);
    }

    /**
     * @param array<string, mixed> $fields
     * @return list<string>
     */
    private static function names(array $fields): array
    {
        $names = array_keys($fields);
        sort($names);

        return $names;
    }
}
