<?php

declare(strict_types=1);

namespace Wxsidecar\Tests\EasyWeChat;

use EasyWeChat\Kernel\Contracts\RefreshableAccessToken;
use Wxsidecar\EasyWeChatAccessToken;

final class AccessTokenTest extends EasyWeChatTestCase
{
    public function testReturnsTheToken(): void
    {
        $access = new EasyWeChatAccessToken($this->wx);
        self::assertInstanceOf(RefreshableAccessToken::class, $access);
        self::assertToken(self::TOKEN, $access->getToken());
        self::assertSame(['access_token'], array_keys($access->toQuery()));
        self::assertToken(self::TOKEN, $access->toQuery()['access_token']);
    }

    /** EasyWeChat calls refresh() for other reasons too, such as HTTP 500 with a certain text. */
    public function testRefreshReportsOnlyRefusedTokens(): void
    {
        $access = new EasyWeChatAccessToken($this->wx);
        self::assertToken(self::OTHER, $access->refresh(), 'no token was returned yet');
        self::assertToken(self::TOKEN, $access->getToken());
        self::assertToken(self::OTHER, $access->refresh(), 'no token was refused yet');
        $this->assertReported('', '');

        $this->wechat->answer(self::refusal(), self::refusal(0));
        $this->http()->request('GET', 'cgi-bin/x', ['query' => $access->toQuery()])->getContent();
        $this->assertReported('', '', self::TOKEN);
        self::assertToken(self::OTHER, $access->refresh(), 'the last token that it returned is the refused one');
        $access->refresh();
        $this->assertReported('', '', self::TOKEN, self::TOKEN, '');
    }

    public function testPrintHidesTheToken(): void
    {
        $access = new EasyWeChatAccessToken($this->wx);
        $this->wechat->answer(self::refusal());
        $http = $this->http();
        $http->request('GET', 'cgi-bin/x', ['query' => $access->toQuery()])->getContent();
        $access->refresh();
        ob_start();
        var_dump($access, $http);
        self::assertFalse(str_contains(ob_get_clean() . print_r([$access, $http], true), 'canarytoken'));
    }
}
