<?php

declare(strict_types=1);

namespace Wxsidecar\Tests\EasyWeChat;

use EasyWeChat\Kernel\Contracts\RefreshableJsApiTicket;
use Wxsidecar\Client;
use Wxsidecar\EasyWeChat\JsApiTicket;
use Wxsidecar\Tests\CannedServer;
use Wxsidecar\Tests\FakeWechat;

final class JsApiTicketTest extends EasyWeChatTestCase
{
    /** The example of WeChat's documentation, which names this ticket and this signature. */
    private const EXAMPLE = 'sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg';

    private JsApiTicket $ticket;

    protected function setUp(): void
    {
        parent::setUp();
        $this->memcached->set($this->wx->appId() . ':jsapi_ticket', self::EXAMPLE);
        $this->ticket = new JsApiTicket($this->wx);
    }

    public function testSignatureOfWechatsExample(): void
    {
        self::assertInstanceOf(RefreshableJsApiTicket::class, $this->ticket);
        self::assertSame(self::EXAMPLE, $this->ticket->getTicket());
        $got = $this->ticket->configSignature('http://mp.weixin.qq.com?params=value', 'Wm3WZYTPz0wzccnW', 1414587457);
        self::assertSame([
            'url' => 'http://mp.weixin.qq.com?params=value',
            'nonceStr' => 'Wm3WZYTPz0wzccnW',
            'timestamp' => 1414587457,
            'appId' => $this->wx->appId(),
            'signature' => '0f9de62fce790f9a083d5c99e95740ceb90c27ed',
        ], $got);
    }

    public function testRefreshReportsTheLastTicket(): void
    {
        $this->sidecar->answer(CannedServer::http(200, '{"ticket":"' . self::OTHER . '","expires_in":3000}'));
        self::assertToken(self::OTHER, $this->ticket->refreshTicket(), 'no ticket was returned yet');
        $this->ticket->getTicket();
        $this->ticket->refreshTicket();
        [$asked, $reported] = array_column($this->sidecar->requests(), 'text');
        self::assertStringStartsWith('GET ', $asked);
        self::assertTrue(str_ends_with($reported, '{"rejected":"' . self::EXAMPLE . '"}'));
        ob_start();
        var_dump($this->ticket);
        self::assertFalse(str_contains((string) ob_get_clean(), self::EXAMPLE));
    }

    public function testRealSidecarRenewsTheTicket(): void
    {
        $wechat = FakeWechat::get();
        $appId = $wechat->account();
        $sidecar = $this->sidecar($appId, false, ['WECHAT_TICKETS' => 'jsapi']);
        $ticket = new JsApiTicket(new Client($appId, sidecar: $sidecar->address));
        self::assertSame(0, $wechat->ticketErrcode($ticket->getTicket()));
        $wechat->invalidateTickets($appId);
        self::assertNotSame(0, $wechat->ticketErrcode($ticket->getTicket()));
        self::assertSame(0, $wechat->ticketErrcode($ticket->refreshTicket()));
    }
}
