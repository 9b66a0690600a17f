<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use EasyWeChat\Kernel\Contracts\AccessToken;
use EasyWeChat\Kernel\Contracts\RefreshableAccessToken;
use Wxsidecar\Client;
use Wxsidecar\EasyWeChatAccessToken;

final class EasyWeChatTest extends TestCase
{
    public static function setUpBeforeClass(): void
    {
        require_once __DIR__ . '/easywechat.php';
    }

    public function testImplementsTheInterfaces(): void
    {
        $this->memcached->set('wx1', self::TOKEN);
        $token = new EasyWeChatAccessToken($this->alone('memcached'));
        self::assertInstanceOf(AccessToken::class, $token);
        self::assertInstanceOf(RefreshableAccessToken::class, $token);
        self::assertToken(self::TOKEN, $token->getToken());
        self::assertSame(['access_token'], array_keys($token->toQuery()));
        self::assertToken(self::TOKEN, $token->toQuery()['access_token']);
    }

    public function testRefreshReportsTheLastToken(): void
    {
        $sidecar = $this->canned();
        $sidecar->answer(CannedServer::http(200, self::token(self::OTHER)));
        $this->memcached->set('wx1', self::TOKEN);
        $m = $this->memcached->client('memcached');
        $token = new EasyWeChatAccessToken(new Client('wx1', $m, $sidecar->address));
        self::assertToken(self::OTHER, $token->refresh(), 'no token was returned yet, so none is reported');
        $token->toQuery();
        $token->refresh();
        $token->refresh();
        [$asked, $first, $second] = array_column($sidecar->requests(), 'text');
        self::assertStringStartsWith('GET ', $asked);
        self::assertTrue(str_ends_with($first, '{"rejected":"canarytoken-1"}'));
        self::assertTrue(str_ends_with($second, '{"rejected":"canarytoken-2"}'), 'a refresh returns a token too');
    }

    public function testPrintHidesTheToken(): void
    {
        $this->memcached->set('wx1', self::TOKEN);
        $token = new EasyWeChatAccessToken($this->alone('memcached'));
        $token->getToken();
        ob_start();
        var_dump($token);
        self::assertFalse(str_contains(ob_get_clean() . print_r($token, true), 'canarytoken'));
    }
}
