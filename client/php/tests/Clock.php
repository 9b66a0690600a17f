<?php

declare(strict_types=1);

namespace Wxsidecar\Tests {
    /** The clock of Health. It advances only when a test says so. */
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
    /** PHP looks for a function in the library's namespace before the global one. */
    function hrtime(bool $asNumber): int
    {
        return (int) round((1_000 + Tests\Clock::$now) * 1e9);
    }
}
