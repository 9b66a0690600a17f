<?php

declare(strict_types=1);

namespace Wxsidecar;

/**
 * Reads the sidecar's entries in memcached, with either of PHP's extensions.
 *
 * @internal
 */
final class Store
{
    public function __construct(private readonly \Memcached|\Memcache $memcached)
    {
    }

    /** Reports whether a value can be a credential: 1 to 2,048 bytes, no spaces, no control characters. */
    public static function intact(#[\SensitiveParameter] mixed $value): bool
    {
        return is_string($value) && preg_match('/^[^\x00-\x20\x7f]{1,2048}$/D', $value) === 1;
    }

    /**
     * Returns the name of the server that has a key. It sends no request. Call it once
     * for a key: after a failure of the server, \Memcache names another one.
     */
    public function server(string $key): string
    {
        if ($this->memcached instanceof \Memcache) {
            return (string) @$this->memcached->findServer($key);
        }
        $server = @$this->memcached->getServerByKey($key);

        return is_array($server) ? "$server[host]:$server[port]" : ''; // '': there are no servers
    }

    /**
     * Reads a credential with one get. Returns null on a miss, a damaged value or a
     * failure of the server; then $failure says why.
     *
     * @param string $server the result of server() for the key
     */
    public function get(string $key, string $server, ?string &$failure): ?string
    {
        $failure = null;
        $flags = 0; // the sidecar writes 0; \Memcached does not show them
        // With @, because frameworks turn the notices of both extensions into exceptions.
        if ($this->memcached instanceof \Memcached) {
            $value = @$this->memcached->get($key);
            if ($value === false && $this->memcached->getLastErrorCode() !== \Memcached::RES_SUCCESS) {
                $failure = $this->memcached->getResultMessage();
            }
        } else {
            $value = @$this->memcached->get($key, $flags);
            if ($value === false && !self::answers($this->memcached, $server)) {
                $failure = 'no answer';
            }
        }

        return $flags === 0 && self::intact($value) ? $value : null;
    }

    /**
     * Reports whether a server answers. \Memcache returns the same for a miss and a failure, but marks a server that
     * failed. It then asks another one, unless memcache.allow_failover is 0, and that one's miss says nothing.
     */
    private static function answers(\Memcache $memcache, string $server): bool
    {
        $colon = strrpos($server, ':');

        return $colon !== false
            && (bool) @$memcache->getServerStatus(substr($server, 0, $colon), (int) substr($server, $colon + 1));
    }
}
