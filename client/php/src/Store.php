<?php

declare(strict_types=1);

namespace Wxsidecar;

/**
 * What the sidecar keeps in memcached, read with either of PHP's extensions.
 *
 * @internal
 */
final class Store
{
    public function __construct(private readonly \Memcached|\Memcache $memcached)
    {
    }

    /** Whether a value could be a credential: 1 to 2,048 bytes, no spaces, no control characters. */
    public static function intact(#[\SensitiveParameter] mixed $value): bool
    {
        return is_string($value) && preg_match('/^[^\x00-\x20\x7f]{1,2048}$/D', $value) === 1;
    }

    /**
     * The name of the server that a key belongs to. It is looked up in memory, and
     * need be only once: \Memcache names another one as soon as this one has failed.
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
     * Reads a credential with one get. Null where there is none, or something
     * that is none, or where its server fails: then $failure says why.
     *
     * @param string $server what server() said of the key
     */
    public function get(string $key, string $server, ?string &$failure): ?string
    {
        $failure = null;
        $flags = 0; // the sidecar writes 0; \Memcached does not tell
        // Silenced, because frameworks turn the notices of both extensions into exceptions.
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
     * \Memcache returns the same for a miss and for a failure, but marks a server that failed. Unless
     * memcache.allow_failover is 0 it then asks another one, whose miss is none of the key's.
     */
    private static function answers(\Memcache $memcache, string $server): bool
    {
        $colon = strrpos($server, ':');

        return $colon !== false
            && (bool) @$memcache->getServerStatus(substr($server, 0, $colon), (int) substr($server, $colon + 1));
    }
}
