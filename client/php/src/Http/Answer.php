<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

/**
 * An answer. headers() parses the head only when it is called: that takes a twentieth
 * of a miss.
 *
 * @internal
 */
final class Answer
{
    /** @param string $head the status line and the header lines */
    public function __construct(
        public readonly int $status,
        private readonly string $head,
        public readonly string $body,
    ) {
    }

    /** @return array<string, string> by their names in lower case; the last of repeated ones */
    public function headers(): array
    {
        $headers = [];
        foreach (explode("\n", $this->head) as $line) {
            if (str_starts_with($line, 'HTTP/')) {
                $headers = []; // the headers before belong to a 100 Continue
            } elseif (str_contains($line, ':')) {
                [$name, $value] = explode(':', $line, 2);
                $headers[strtolower($name)] = trim($value);
            }
        }

        return $headers;
    }
}
