<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Http\Request;
use Wxsidecar\Http\Transport;
use Wxsidecar\Http\Answer;

/** Answers every request with a token, and records the request. */
final class RecordingTransport implements Transport
{
    /** @var list<Request> */
    public array $requests = [];

    public function send(#[\SensitiveParameter] Request $request): Answer
    {
        $this->requests[] = $request;

        return new Answer(200, 'Content-Type: application/json', '{"access_token":"canarytoken-0001"}');
    }
}
