<?php

declare(strict_types=1);

namespace Wxsidecar\Tests\EasyWeChat;

use EasyWeChat\Kernel\Contracts\AccessTokenInterface;
use GuzzleHttp\Psr7\Request;
use Wxsidecar\EasyWeChat\V5\AccessToken;

final class V5Test extends EasyWeChatTestCase
{
    private AccessToken $access;

    protected function setUp(): void
    {
        parent::setUp();
        $this->access = new AccessToken($this->wx);
    }

    private function applied(string $url): string
    {
        return (string) $this->access->applyToRequest(new Request('GET', $url))->getUri();
    }

    public function testTokenIsAddedToTheQuery(): void
    {
        self::assertInstanceOf(AccessTokenInterface::class, $this->access);
        self::assertSame(['access_token' => self::TOKEN], $this->access->getToken());
        $token = 'access_token=' . self::TOKEN;
        self::assertTrue($this->applied('https://x/cgi-bin/y') === "https://x/cgi-bin/y?$token");
        self::assertTrue($this->applied('https://x/?a=%20&b=c+d') === "https://x/?a=%20&b=c+d&$token");
    }

    public function testOtherCredentialGetsNoToken(): void
    {
        foreach (['access_token', 'component_access_token', 'cloudbase_access%5Ftoken'] as $name) {
            self::assertSame("https://x/?$name=y", $this->applied("https://x/?$name=y"));
        }
    }

    /** EasyWeChat 5 calls refresh() after a refusal, and applyToRequest() for the same request again. */
    public function testRefreshReportsTheRefusedToken(): void
    {
        $this->access->refresh();
        self::assertStringStartsWith('GET ', $this->sidecar->requests()[0]['text'], 'no request had a token yet');
        $this->applied('https://x/y');
        $this->applied('https://x/y');
        self::assertSame($this->access, $this->access->refresh());
        self::assertTrue(str_ends_with($this->sidecar->requests()[1]['text'], '{"rejected":"' . self::TOKEN . '"}'));
        self::assertTrue(str_ends_with($this->applied('https://x/y'), self::OTHER), 'whatever memcached has');
        self::assertTrue(str_ends_with($this->applied('https://x/y'), self::TOKEN), 'only once');
        self::assertFalse(str_contains(print_r($this->access, true), 'canarytoken'));
    }

    /** The app gets WeChat's answer to the repeated request, and no exception of another kind. */
    public function testFailedReportIsSilent(): void
    {
        $this->applied('https://x/y');
        $this->sidecar->end();
        $this->access->refresh();
        self::assertTrue(str_ends_with($this->applied('https://x/y'), self::TOKEN));
    }
}
