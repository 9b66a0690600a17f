<?php

declare(strict_types=1);

namespace Wxsidecar;

/** What the sidecar answered instead of a credential. getCode() is the errcode too. */
final class Refused extends \RuntimeException implements Exception
{
    /**
     * @param int         $errcode    WeChat's own where WeChat refused, such as 40164 (this IP is not on the
     *                                account's whitelist); -1: nothing valid to give for now; else the HTTP status of
     *                                a refusal by the sidecar itself: 401 wrong bearer token, 403 not from here, 404
     *                                not kept, 429 no further renewal so soon
     * @param string      $errmsg     WeChat's rid included, which its support asks for
     * @param string|null $hint       what to do about it; null where nothing can be done
     * @param int|null    $retryAfter seconds to wait before asking again; null where the sidecar did not say
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
        $message .= $retryAfter === null ? '' : "; ask again in $retryAfter s";
        parent::__construct($message, $errcode);
    }
}
