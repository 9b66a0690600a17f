<?php

declare(strict_types=1);

namespace Wxsidecar;

/** An answer over HTTP, whatever its status. */
final class Response
{
    /** Longer answers are no refusals, which have a few hundred bytes. */
    private const MAX_REFUSAL = 65_536;

    /** @param array<string, string> $headers by their names in lower case; of repeated ones the last */
    public function __construct(
        public readonly int $status,
        public readonly array $headers,
        public readonly string $body,
    ) {
    }

    /** @return array<mixed>|null null where the body is not a JSON object or array */
    public function json(): ?array
    {
        $value = json_decode($this->body, true);

        return is_array($value) ? $value : null;
    }

    /** WeChat's errcode, which it sends with status 200; 0 where there is none. */
    public function errcode(): int
    {
        $code = $this->json()['errcode'] ?? 0;

        return is_int($code) ? $code : 0;
    }

    /** Whether WeChat refused the token. 48001 is not among the codes: there the token is good and the account may not. */
    public function refusesToken(): bool
    {
        // WeChat sends errors as application/json, from some of its media routes as text/plain.
        return preg_match('~^(application/json|text/json|text/plain)\b~i', $this->headers['content-type'] ?? '') === 1
            && strlen($this->body) <= self::MAX_REFUSAL
            && in_array($this->errcode(), [40001, 40014, 42001], true);
    }
}
