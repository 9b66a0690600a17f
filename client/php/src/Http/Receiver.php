<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

/**
 * Collects what ext-curl receives, up to the limits of the request. It does not refer
 * to the handle that calls it: in a cycle both would keep the connections open.
 *
 * @internal
 */
final class Receiver
{
    private string $head = '';
    private string $body = '';
    private int $limit = 0;

    /** @param int $limit bytes of the longest body */
    public function limit(int $limit): void
    {
        $this->limit = $limit;
    }

    /** For CURLOPT_HEADERFUNCTION; anything but the line's length ends the transfer. */
    public function head(\CurlHandle $curl, #[\SensitiveParameter] string $line): int
    {
        $this->head .= $line;

        return strlen($this->head) <= Transport::MAX_HEAD ? strlen($line) : -1;
    }

    /** For CURLOPT_WRITEFUNCTION, likewise. */
    public function body(\CurlHandle $curl, #[\SensitiveParameter] string $part): int
    {
        $this->body .= $part;

        return strlen($this->body) <= $this->limit ? strlen($part) : -1;
    }

    /** Returns the answer and forgets it. */
    public function end(int $status): Answer
    {
        $answer = new Answer($status, $this->head, $this->body);
        $this->head = $this->body = '';

        return $answer;
    }
}
