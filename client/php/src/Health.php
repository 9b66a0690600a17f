<?php

declare(strict_types=1);

namespace Wxsidecar;

/**
 * Remembers that a memcached failed, so that not every call waits for the same
 * time-out. It is passed over for 1 s; then one call probes it while the others
 * go on passing it over for 2 s, then 4, 8 and 10 s, until it answers.
 *
 * The memory is APCu, which all requests and workers of a machine share, else the
 * process. An outage is one integer, when it ends and how often it was prolonged,
 * and is only replaced by compare-and-swap against the one that the call saw when
 * it began. So of many calls that fail together one counts, one probes, and a call
 * that succeeds late does not end an outage that began after it.
 *
 * @internal
 */
final class Health
{
    private const FIRST = 1_000; // milliseconds
    private const LAST = 10_000;

    /** @var array<string, int> outages where there is no APCu */
    private static array $here = [];
    private readonly string $name;
    private readonly bool $shared;

    /** @param string $server the memcached that this is about */
    public function __construct(public readonly string $server)
    {
        $this->name = "wxsidecar:$server";
        $this->shared = function_exists('apcu_enabled') && apcu_enabled();
    }

    /**
     * Says whether to ask memcached.
     *
     * @param int|null $seen what to give to leave() afterwards
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
        $probe = self::outage($seen & 7); // before the answer is here the others see an outage that goes on
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

    /** An outage that begins now: its end in milliseconds, and in the lowest three bits its step. */
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
