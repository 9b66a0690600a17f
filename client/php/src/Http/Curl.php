<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

/**
 * Carries requests with ext-curl, over connections that it keeps.
 *
 * @internal
 */
final class Curl implements Transport
{
    /** Keeps the connections. Null while a request is under way: another coroutine then takes one of its own. */
    private ?Handle $idle = null;
    private int $process = 0;

    public function send(#[\SensitiveParameter] Request $request): Answer
    {
        $handle = $this->take();
        $answer = $handle->send($request);
        $this->idle = $handle;

        return $answer instanceof NoAnswer ? throw $answer : $answer;
    }

    /** A forked child must not write into its parent's connections: each would read the other's answers. */
    private function take(): Handle
    {
        $process = (int) getmypid();
        $handle = $this->process === $process ? $this->idle : null;
        $this->idle = null;
        $this->process = $process;

        return $handle ?? new Handle();
    }
}
