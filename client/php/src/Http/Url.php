<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

/**
 * A plain http or https URL. It has nothing that two parsers could read differently
 * (user names, backslashes, fragments, spaces, other characters than ASCII), so the
 * host that was checked is the host that gets the request.
 *
 * @internal
 */
final class Url
{
    private const FORM = '~^(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?([/?][!-"$-\[\]-\~]*)?$~iD';

    private function __construct(
        public readonly string $scheme,
        public readonly string $host,
        public readonly int $port,
        public readonly string $path,
        public readonly string $query,
    ) {
    }

    public static function parse(#[\SensitiveParameter] string $raw): ?self
    {
        if (preg_match(self::FORM, $raw, $part, PREG_UNMATCHED_AS_NULL) !== 1) {
            return null;
        }
        $scheme = strtolower((string) $part[1]);
        $port = (int) ($part[3] ?? ($scheme === 'https' ? 443 : 80));
        if ($port < 1 || $port > 65_535) {
            return null;
        }
        [$path, $query] = explode('?', $part[4] ?? '', 2) + [1 => ''];

        return new self($scheme, strtolower((string) $part[2]), $port, $path, $query);
    }

    public function withPath(string $path): self
    {
        return new self($this->scheme, $this->host, $this->port, $path, '');
    }

    public function withToken(#[\SensitiveParameter] string $token): self
    {
        $query = ($this->query === '' ? '' : "$this->query&") . 'access_token=' . rawurlencode($token);

        return new self($this->scheme, $this->host, $this->port, $this->path, $query);
    }

    public function isLoopback(): bool
    {
        return in_array($this->host, ['localhost', '[::1]'], true)
            || preg_match('/^127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$/D', $this->host) === 1;
    }

    /** Returns host, or host:port if the port is not the scheme's default. */
    public function authority(): string
    {
        return $this->port === ($this->scheme === 'https' ? 443 : 80) ? $this->host : "$this->host:$this->port";
    }

    /** Returns the path and query for the request line. */
    public function target(): string
    {
        return ($this->path === '' ? '/' : $this->path) . ($this->query === '' ? '' : "?$this->query");
    }

    public function __toString(): string
    {
        return "$this->scheme://" . $this->authority() . $this->target();
    }
}
