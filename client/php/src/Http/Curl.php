<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

/**
 * Sends requests with ext-curl, and reuses connections.
 *
 * @internal
 */
final class Curl implements Transport
{
    /** Has the connections. Null during a request: another coroutine then creates a handle of its own. */
    private ?Handle $idle = null;
    private int $process = 0;

    public function send(#[\SensitiveParameter] Request $request): Answer
    {
        $handle = $this->take();
        $answer = $handle->send($request);
        $this->idle = $handle;

        return $answer instanceof NoAnswer ? throw $answer : $answer;
    }

    /** A forked child must not use its parent's connections: each would read the other's answers. */
    private function take(): Handle
    {
        $process = (int) getmypid();
        $handle = $this->process === $process ? $this->idle : null;
        $this->idle = null;
        $this->process = $process;

        return $handle ?? new Handle();
    }
}
