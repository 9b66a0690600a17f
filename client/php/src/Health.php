<?php

declare(strict_types=1);

namespace Wxsidecar;

/**
 * Remembers that a memcached server failed, so that not every call waits for its
 * timeout. Calls pass it over for 1 s; then one call probes it while the others pass
 * it over for 2 s, then 4, 8 and 10 s, until it answers.
 *
 * APCu stores this for all requests and workers of a machine, else the process does.
 * An outage is one integer: its end, and how often it was prolonged. A call replaces
 * it by compare-and-swap against the outage that it saw when it began. So of many
 * calls that fail together one counts, one call probes, and a late success does not
 * end an outage that began after it.
 *
 * @internal
 */
final class Health
{
    private const FIRST = 1_000; // milliseconds
    private const LAST = 10_000;

    /** @var array<string, int> outages, without APCu */
    private static array $here = [];
    private readonly string $name;
    private readonly bool $shared;

    /** @param string $server the memcached server */
    public function __construct(public readonly string $server)
    {
        $this->name = "wxsidecar:$server";
        $this->shared = function_exists('apcu_enabled') && apcu_enabled();
    }

    /**
     * Reports whether to ask memcached.
     *
     * @param int|null $seen the argument for leave() afterwards
     */
    public function enter(?int &$seen): bool
    {
        $seen = $this->load();
        if ($seen === 0) {
            return true;
        }
        if (self::now() < $seen >> 3) {
            return false;
        }
        $probe = self::outage($seen & 7); // until the answer arrives, the others see this outage
        if (!$this->swap($seen, $probe)) {
            return false;
        }
        $seen = $probe;

        return true;
    }

    public function leave(int $seen, bool $failed): void
    {
        if ($failed) {
            $this->swap($seen, self::outage($seen === 0 ? 0 : min(($seen & 7) + 1, 4)));
        } elseif ($seen !== 0) {
            $this->swap($seen, 0);
        }
    }

    /** Returns an outage that begins now: its end in milliseconds, and its step in the lowest three bits. */
    private static function outage(int $step): int
    {
        return (self::now() + min(self::FIRST << $step, self::LAST)) << 3 | $step;
    }

    private static function now(): int
    {
        return intdiv(hrtime(true), 1_000_000); // the same clock in all processes of a machine
    }

    private function load(): int
    {
        return (int) ($this->shared ? apcu_fetch($this->name) : self::$here[$this->name] ?? 0);
    }

    private function swap(int $old, int $new): bool
    {
        if ($this->shared) {
            apcu_add($this->name, 0);

            return apcu_cas($this->name, $old, $new);
        }
        $same = $this->load() === $old;
        if ($same) {
            self::$here[$this->name] = $new;
        }

        return $same;
    }
}
