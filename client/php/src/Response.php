<?php

declare(strict_types=1);

namespace Wxsidecar;

/** An HTTP answer with any status. */
final class Response
{
    /** Bytes of the longest refusal: refusals have a few hundred. */
    private const MAX_REFUSAL = 65_536;

    /** @param array<string, string> $headers by their names in lower case; the last of repeated ones */
    public function __construct(
        public readonly int $status,
        public readonly array $headers,
        public readonly string $body,
    ) {
    }

    /** @return array<mixed>|null null if the body is not a JSON object or array */
    public function json(): ?array
    {
        $value = json_decode($this->body, true);

        return is_array($value) ? $value : null;
    }

    /** Returns WeChat's errcode, which it sends with status 200; 0 if there is none. */
    public function errcode(): int
    {
        $code = $this->json()['errcode'] ?? 0;

        return is_int($code) ? $code : 0;
    }

    /** Reports whether WeChat refused the token. Not for 48001: the token is valid, and the account not authorized. */
    public function refusesToken(): bool
    {
        // WeChat sends refusals as application/json, and from some media routes as text/plain.
        return preg_match('~^(application/json|text/json|text/plain)\b~i', $this->headers['content-type'] ?? '') === 1
            && strlen($this->body) <= self::MAX_REFUSAL
            && in_array($this->errcode(), [40001, 40014, 42001], true);
    }
}
