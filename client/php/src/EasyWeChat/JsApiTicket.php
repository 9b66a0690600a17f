<?php

declare(strict_types=1);

namespace Wxsidecar\EasyWeChat;

use EasyWeChat\Kernel\Contracts\RefreshableJsApiTicket;
use Wxsidecar\Client;

/**
 * The jsapi_ticket for EasyWeChat 6.12.5 or newer. The sidecar's WECHAT_TICKETS must
 * name jsapi:
 *
 *     $app->setTicket(new JsApiTicket($client));
 *
 * EasyWeChat never learns that a ticket was refused: the phone that opens the page
 * does. So refreshTicket() is the app's statement that the last ticket is invalid.
 */
final class JsApiTicket implements RefreshableJsApiTicket
{
    private string $last = '';

    public function __construct(private readonly Client $wx)
    {
    }

    public function getTicket(): string
    {
        return $this->last = $this->wx->ticket('jsapi');
    }

    /** Reports the last ticket that this object returned, and returns the current one. */
    public function refreshTicket(): string
    {
        return $this->last = $this->wx->refreshTicket('jsapi', $this->last);
    }

    /** @return array{url: string, nonceStr: string, timestamp: int, appId: string, signature: string} */
    public function configSignature(string $url, string $nonce, int $timestamp): array
    {
        $signed = "jsapi_ticket={$this->getTicket()}&noncestr=$nonce&timestamp=$timestamp&url=$url";

        return [
            'url' => $url,
            'nonceStr' => $nonce,
            'timestamp' => $timestamp,
            'appId' => $this->wx->appId(),
            'signature' => sha1($signed),
        ];
    }

    /** @return array<string, mixed> for var_dump() and print_r(), without the ticket */
    public function __debugInfo(): array
    {
        return ['wx' => $this->wx];
    }
}
