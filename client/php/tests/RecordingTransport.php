<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Http\Request;
use Wxsidecar\Http\Transport;
use Wxsidecar\Response;

/** Answers every request with a token, and keeps the request. */
final class RecordingTransport implements Transport
{
    /** @var list<Request> */
    public array $requests = [];

    public function send(#[\SensitiveParameter] Request $request): Response
    {
        $this->requests[] = $request;

        return new Response(200, ['content-type' => 'application/json'], '{"access_token":"canarytoken-1"}');
    }
}
