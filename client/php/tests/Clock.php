<?php

declare(strict_types=1);

namespace Wxsidecar\Tests {
    /** The clock by which outages end. It stands still but for what a test adds. */
    final class Clock
    {
        public static float $now = 0; // seconds

        public static function advance(float $seconds): void
        {
            self::$now += $seconds;
        }
    }
}

namespace Wxsidecar {
    /** The library's own namespace is looked into before the global one. */
    function hrtime(bool $asNumber): int
    {
        return (int) round((1_000 + Tests\Clock::$now) * 1e9);
    }
}
