<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

/**
 * An answer as it came. Its headers are read only where somebody asks for them:
 * that costs a twentieth of a miss.
 *
 * @internal
 */
final class Answer
{
    /** @param string $head lines, of which those with a colon are headers */
    public function __construct(
        public readonly int $status,
        private readonly string $head,
        public readonly string $body,
    ) {
    }

    /** @return array<string, string> by their names in lower case; of repeated ones the last */
    public function headers(): array
    {
        $headers = [];
        foreach (explode("\n", $this->head) as $line) {
            if (str_starts_with($line, 'HTTP/')) {
                $headers = []; // those before were of a 100 Continue
            } elseif (str_contains($line, ':')) {
                [$name, $value] = explode(':', $line, 2);
                $headers[strtolower($name)] = trim($value);
            }
        }

        return $headers;
    }
}
