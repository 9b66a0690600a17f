<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

/**
 * A request and its limits.
 *
 * @internal
 */
final class Request
{
    /**
     * @param array<string, string> $headers
     * @param string|null           $body   null: none
     * @param string|null           $socket the unix socket to use instead of the URL's host
     * @param bool                  $proxy  whether to use HTTPS_PROXY
     * @param float                 $wait   seconds for the whole answer
     * @param int                   $limit  bytes of the longest body
     * @param bool                  $secret whether it has a secret, and must be forgotten after its answer
     * @param string|null           $caFile the CAs to trust, in PEM; null: PHP's
     * @param bool                  $once   whether it has a connection of its own, and so is never sent again
     */
    public function __construct(
        public readonly string $method,
        public readonly Url $url,
        public readonly array $headers,
        public readonly ?string $body,
        public readonly ?string $socket,
        public readonly bool $proxy,
        public readonly float $wait,
        public readonly int $limit,
        public readonly bool $secret = true,
        public readonly ?string $caFile = null,
        public readonly bool $once = false,
    ) {
    }
}
