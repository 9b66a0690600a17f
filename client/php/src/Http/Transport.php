<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

/**
 * Carries requests. It follows no redirect: nobody else may see the token.
 *
 * @internal
 */
interface Transport
{
    /** How many bytes of headers are taken. */
    public const MAX_HEAD = 65_536;

    /** @throws NoAnswer */
    public function send(#[\SensitiveParameter] Request $request): Answer;
}
