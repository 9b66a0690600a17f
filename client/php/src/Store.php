<?php

declare(strict_types=1);

namespace Wxsidecar;

/**
 * Reads the sidecar's entries in memcached, with either of PHP's extensions.
 *
 * A forked child must not use its parent's connection: each would read the other's
 * answers. It gets its own from a closure; without one it does not read memcached.
 * Both extensions can ask another server if the one that has a key failed. An entry
 * there is of an earlier pool, so that is a failure.
 *
 * @internal
 */
final class Store
{
    /** What an entry holds. 32 hexadecimal digits are an AppSecret. Go has the same rule, and one table tests both. */
    private const ENTRY = '~^(?![0-9A-Fa-f]{32}$)[A-Za-z0-9._\~+/=@!-]{16,2048}$~D';

    /** @var list<\Memcached|\Memcache> kept, because the end of an object ends the parent's connection too */
    private static array $ofParents = [];
    /** @var \WeakMap<\Memcached|\Memcache, int> the process that read first with an object, for all Clients */
    private static \WeakMap $readers;
    private \Memcached|\Memcache|null $memcached = null;
    /** The process that reads; 0 before the first read. */
    private int $process = 0;
    /** Whether \Memcached asks other servers for the keys of one that failed. */
    private bool $ejects = false;
    /** @var array<string, array{string, int}> of the servers of \Memcache */
    private array $addresses = [];

    public function __construct(private readonly \Memcached|\Memcache|\Closure $source)
    {
    }

    /** Reports whether this process reads memcached. Call it before server() and get(). */
    public function isOpen(): bool
    {
        $process = (int) getmypid();
        if ($process !== $this->process) {
            $this->open($process);
        }

        return $this->memcached !== null;
    }

    /** Returns the name of the server that has a key, whether it failed or not. It sends no request. */
    public function server(string $key): string
    {
        if ($this->memcached instanceof \Memcache) {
            $failover = function_exists('ini_set') ? ini_set('memcache.allow_failover', '0') : false;
            $server = (string) @$this->memcached->findServer($key);
            $failover === false || ini_set('memcache.allow_failover', $failover);

            return $server;
        }
        if ($this->memcached === null || !$this->ejects) {
            return self::serverOf($this->memcached, $key);
        }
        $pool = new \Memcached(); // none of its servers has failed
        foreach ([$pool::OPT_LIBKETAMA_COMPATIBLE, $pool::OPT_DISTRIBUTION, $pool::OPT_HASH] as $option) {
            $pool->setOption($option, $this->memcached->getOption($option));
        }
        foreach ($this->memcached->getServerList() as ['host' => $host, 'port' => $port]) {
            $pool->addServer($host, $port);
        }

        return self::serverOf($pool, $key);
    }

    /**
     * Reads a credential with one get. Returns null on a miss, a damaged value or a
     * failure of the server; then $failure says why.
     *
     * @param string $server the result of server() for the key
     */
    public function get(string $key, string $server, ?string &$failure): ?string
    {
        // A get of several keys says which key an answer is for, and \Memcached shows the upper half of the flags.
        // With @, because frameworks turn the notices of both extensions into exceptions.
        $failure = $value = $flag = null;
        if ($this->memcached instanceof \Memcache) {
            $all = @$this->memcached->get([$key], $flags);
            $value = $all[$key] ?? null;
            $flag = $flags[$key] ?? null;
            // It returns the same for a miss and a failure, or a hit of another server, but marks a server that failed.
            [$host, $port] = $this->addresses[$server] ??= self::address($server);
            if (!@$this->memcached->getServerStatus($host, $port)) {
                $failure = 'no answer';
            }
        } elseif ($this->memcached === null || ($this->ejects && self::serverOf($this->memcached, $key) !== $server)) {
            $failure = 'the server failed before, and is not in the pool';
            $all = [];
        } else {
            $all = @$this->memcached->getMulti([$key], \Memcached::GET_EXTENDED);
            $value = $all[$key]['value'] ?? null;
            $flag = $all[$key]['flags'] ?? null;
            if ($value === null && $this->memcached->getLastErrorCode() !== \Memcached::RES_SUCCESS) {
                $failure = $this->memcached->getResultMessage();
            }
        }
        if ($failure === null && $flag === 0 && is_string($value) && preg_match(self::ENTRY, $value) === 1) {
            return $value;
        }
        if (is_array($all) && $all !== [] && !array_key_exists($key, $all)) {
            $failure = 'an answer for another key; in a forked process use a closure';
        }

        return null;
    }

    private function open(int $process): void
    {
        $forked = $this->process !== 0;
        $this->process = $process;
        if ($this->memcached !== null) {
            self::$ofParents[] = $this->memcached;
        }
        $m = $this->source;
        if ($m instanceof \Closure) {
            try {
                $m = (static fn (\Memcached|\Memcache $returned) => $returned)($m());
            } catch (\Throwable $e) { // its message can hold a password
                $m = null;
                error_log('wxsidecar: this process asks the sidecar, since the closure did not return a Memcached or '
                    . 'Memcache object: ' . get_class($e) . " in {$e->getFile()}:{$e->getLine()}");
            }
        }
        if ($m !== null && self::isOfParent($m, $process, $forked)) {
            self::$ofParents[] = $m;
            $m = null;
            error_log('wxsidecar: this forked process asks the sidecar, since it must not use its parent\'s connection '
                . 'to memcached; give Wxsidecar\Client a closure that returns a new object without a persistent id');
        }
        $this->memcached = $m;
        $this->ejects = $m instanceof \Memcached && (bool) $m->getOption(\Memcached::OPT_REMOVE_FAILED_SERVERS);
    }

    /** Reports whether a parent process has read with this object, or can have: a persistent id keeps the connection. */
    private static function isOfParent(\Memcached|\Memcache $m, int $process, bool $forked): bool
    {
        self::$readers ??= new \WeakMap();
        self::$readers[$m] ??= $process;
        $persistent = $m instanceof \Memcached && $m->isPersistent() && !$m->isPristine();

        return self::$readers[$m] !== $process || ($forked && $persistent);
    }

    /** \Memcached has no server if it returns ''. */
    private static function serverOf(?\Memcached $pool, string $key): string
    {
        $server = @$pool?->getServerByKey($key);

        return is_array($server) ? "$server[host]:$server[port]" : '';
    }

    /** @return array{string, int} the host and port of a server of \Memcache */
    private static function address(string $server): array
    {
        $colon = (int) strrpos($server, ':');

        return [substr($server, 0, $colon), (int) substr($server, $colon + 1)];
    }
}
