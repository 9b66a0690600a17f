<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

/**
 * A request and its bounds.
 *
 * @internal
 */
final class Request
{
    /**
     * @param array<string, string> $headers
     * @param string|null           $body   null: none, not even an empty one
     * @param string|null           $socket the unix socket to use instead of the URL's host
     * @param bool                  $proxy  whether HTTPS_PROXY may be used
     * @param float                 $wait   seconds until the whole answer must be there
     * @param int                   $limit  how many bytes of a body are taken
     * @param bool          $secret whether anything of it is secret, and so not to be kept once it is answered
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
    ) {
    }
}
