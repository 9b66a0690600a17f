<?php

declare(strict_types=1);

namespace Wxsidecar;

/** A refusal by the sidecar. getCode() is the errcode too. */
final class Refused extends \RuntimeException implements Exception
{
    /**
     * @param int         $errcode    WeChat's if WeChat refused, such as 40164 (this IP is not on the account's
     *                                whitelist); -1: no valid credential at the moment; else the HTTP status of the
     *                                sidecar's own refusal: 401 wrong bearer token, 403 not allowed, 404 ticket or
     *                                login not configured, 429 too early for another renewal
     * @param string      $errmsg     with WeChat's rid, which its support needs
     * @param string|null $hint       what to do; null if the sidecar has no hint
     * @param int|null    $retryAfter seconds to wait before the next request; null if the sidecar did not say
     */
    public function __construct(
        string $what,
        public readonly int $errcode,
        public readonly string $errmsg,
        public readonly ?string $hint,
        public readonly ?int $retryAfter,
    ) {
        $message = "$what: the sidecar answered $errcode: $errmsg";
        $message .= $hint === null ? '' : " ($hint)";
        $message .= $retryAfter === null ? '' : "; retry after $retryAfter s";
        parent::__construct($message, $errcode);
    }
}
