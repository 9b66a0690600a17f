<?php

declare(strict_types=1);

namespace Wxsidecar;

/**
 * Signs pages for WeChat's JS-SDK. client/testdata/signatures.json has the cases, which Go has too.
 *
 * @internal
 */
final class JsSdk
{
    /** The address of a page without its fragment. Go has the same rule. */
    private const PAGE = '~^https?://[^/?\\\\\x00-\x20\x7f\x{fffd}][^\x00-\x20\x7f\x{fffd}]*$~Du';

    /** Returns the part of a page's address that is signed: all before the first #. */
    public static function page(#[\SensitiveParameter] string $url): string
    {
        $page = explode('#', $url, 2)[0];
        if (preg_match(self::PAGE, $page) !== 1) {
            throw new InvalidArgument('jsConfig: not the address of a web page; use location.href unchanged, which '
                . 'begins with http:// or https:// and has no spaces');
        }

        return $page;
    }

    /**
     * @param string $page what page() returned
     * @return array{appId: string, timestamp: int, nonceStr: string, signature: string, url: string}
     */
    public static function sign(
        string $appId,
        #[\SensitiveParameter] string $ticket,
        #[\SensitiveParameter] string $page,
    ): array {
        $nonce = bin2hex(random_bytes(16));
        $time = time();

        return [
            'appId' => $appId,
            'timestamp' => $time,
            'nonceStr' => $nonce,
            'signature' => self::signature($ticket, $nonce, $time, $page),
            'url' => $page,
        ];
    }

    public static function signature(
        #[\SensitiveParameter] string $ticket,
        string $nonce,
        int $timestamp,
        #[\SensitiveParameter] string $page,
    ): string {
        return sha1("jsapi_ticket=$ticket&noncestr=$nonce&timestamp=$timestamp&url=$page");
    }
}
