<?php

declare(strict_types=1);

namespace Wxsidecar;

/** An HTTP answer with any status. */
final class Response
{
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

    /**
     * Returns WeChat's errcode, which it sends with status 200; 0 if there is none. It also reads answers that are not
     * quite JSON, because of GBK or control bytes in errmsg; json() returns null for these.
     */
    public function errcode(): int
    {
        return Errcode::of($this->body);
    }

    /** Reports whether WeChat refused the token. Not for 48001: the token is valid, and the account not authorized. */
    public function refusesToken(): bool
    {
        return Errcode::refuses(substr($this->body, 0, Errcode::HEAD));
    }
}
