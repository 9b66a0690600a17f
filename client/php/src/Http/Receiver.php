<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

/**
 * Takes what ext-curl receives, within the bounds of the request. It does not know
 * the handle that calls it: in a circle both would outlive their use, and with them
 * the connections.
 *
 * @internal
 */
final class Receiver
{
    private string $head = '';
    private string $body = '';
    private int $limit = 0;

    /** @param int $limit how many bytes of a body are taken */
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

    /** Gives out what came, and keeps none of it. */
    public function end(int $status): Answer
    {
        $answer = new Answer($status, $this->head, $this->body);
        $this->head = $this->body = '';

        return $answer;
    }
}
