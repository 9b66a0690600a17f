<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

/**
 * Sends requests. It follows no redirect, because no other host may see the token.
 *
 * @internal
 */
interface Transport
{
    /** Bytes of the longest head. */
    public const MAX_HEAD = 65_536;

    /** @throws NoAnswer */
    public function send(#[\SensitiveParameter] Request $request): Answer;
}
