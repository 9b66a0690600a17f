<?php

declare(strict_types=1);

namespace Wxsidecar\Tests\EasyWeChat;

use Symfony\Component\HttpClient\CurlHttpClient;
use Symfony\Component\HttpClient\NativeHttpClient;
use Symfony\Contracts\HttpClient\HttpClientInterface;
use Wxsidecar\Client;
use Wxsidecar\EasyWeChat\HttpClient;
use Wxsidecar\Tests\CannedServer;
use Wxsidecar\Tests\TestCase;

/** Has a token in memcached, a sidecar that renews it, and a WeChat with canned answers. */
abstract class EasyWeChatTestCase extends TestCase
{
    protected CannedServer $wechat;
    protected CannedServer $sidecar;
    protected Client $wx;

    public static function setUpBeforeClass(): void
    {
        require_once __DIR__ . '/contracts.php';
    }

    protected function setUp(): void
    {
        parent::setUp();
        [$this->wechat, $this->sidecar] = [$this->canned(), $this->canned()];
        $appId = 'wx' . bin2hex(random_bytes(8)); // reports back off per account, for the whole run
        $this->memcached->set($appId, self::TOKEN);
        $this->sidecar->answer(CannedServer::http(200, self::token(self::OTHER)));
        $this->wx = new Client($appId, $this->memcached->client('memcached'), $this->sidecar->address);
    }

    /** Returns the decorator, around a client as EasyWeChat creates it, or around another. */
    protected function http(?HttpClientInterface $inner = null): HttpClient
    {
        return new HttpClient($inner ?? self::symfony(['base_uri' => $this->wechat->address]), $this->wx);
    }

    /** @param array<string, mixed> $options */
    protected static function symfony(array $options = []): HttpClientInterface
    {
        return function_exists('curl_init') ? new CurlHttpClient($options) : new NativeHttpClient($options);
    }

    /** @return array<string, mixed> options with the token in the query, as EasyWeChat adds it */
    protected function query(): array
    {
        return ['query' => ['access_token' => $this->wx->accessToken()]];
    }

    protected static function refusal(int $errcode = 40001): string
    {
        return CannedServer::http(200, (string) json_encode(['errcode' => $errcode, 'errmsg' => 'no rid: 1']));
    }

    /** Asserts what the sidecar was asked: to refresh a token, or with '' for its current one. */
    protected function assertReported(string ...$tokens): void
    {
        $bodies = array_map(
            static fn (array $request): string => hash('sha256', explode("\r\n\r\n", $request['text'], 2)[1]),
            $this->sidecar->requests(),
        );
        $body = static fn (string $token): string => $token === '' ? '' : "{\"rejected\":\"$token\"}";
        $want = array_map(static fn (string $token): string => hash('sha256', $body($token)), $tokens);
        self::assertSame($want, $bodies, 'the reported tokens');
    }
}
