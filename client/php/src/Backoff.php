<?php

declare(strict_types=1);

namespace Wxsidecar;

/**
 * Decides whether a refused token is reported.
 *
 * Some requests get 40001 whatever the token, because of their body or because they need another kind of token. Each
 * report costs all apps a renewal, so reports back off per method and path: if these refuse the new token too, the next
 * report is 31 s later, then 1, 2, 4, 8, and every 10 minutes.
 *
 * APCu stores this for all requests and workers of a machine. Without it the process does: for long-running workers
 * that is enough, and under PHP-FPM nothing backs off.
 *
 * @internal
 */
final class Backoff
{
    /** Milliseconds between reports. */
    private const DELAYS = [31_000, 60_000, 120_000, 240_000, 480_000, 600_000];
    /** Pairs and tokens that are remembered. Of two in one slot, the later one replaces the other. */
    private const SLOTS = 256;
    /** Milliseconds after which a pair is forgotten: twice the longest delay. */
    private const LIFE = 1_200_000;

    /** @var array<string, array{string, string, int, int, int}> without APCu */
    private static array $here = [];
    private readonly bool $shared;

    public function __construct(private readonly string $appId)
    {
        $this->shared = function_exists('apcu_enabled') && apcu_enabled();
    }

    /** Call it when WeChat refuses a token. Reports whether to report the token now. */
    public function refused(string $method, string $path, #[\SensitiveParameter] string $token): bool
    {
        [$slot, $pair] = $this->slot($method, $path);
        [$mark, $now] = [self::mark($token), self::now()];
        [, $first, $step, $next] = $this->load($slot, $pair, $now) ?? [$pair, $mark, 0, $now];
        // Step 0: the pair has refused one token. Another one that it refuses was issued after that.
        $again = $step > 0 || $mark !== $first;
        $due = $now >= $next && ($step > 0 || !$again);
        if ($again && ($due || $step === 0)) {
            $next = $now + self::DELAYS[min($step, count(self::DELAYS) - 1)];
            $step++;
        }
        $this->save($slot, [$pair, $first, $step, $next, $now + self::LIFE]);

        return $due;
    }

    /** Call it when WeChat accepts a token. */
    public function accepted(string $method, string $path): void
    {
        [$slot, $pair] = $this->slot($method, $path);
        if ($this->load($slot, $pair, 0) !== null) {
            $this->save($slot, null);
        }
    }

    /** Call it when the sidecar answers that it is too early for a report. */
    public function delay(string $kind, #[\SensitiveParameter] string $credential, int $seconds): void
    {
        [$slot, $pair] = $this->slot($kind, self::mark($credential));
        $until = self::now() + min($seconds, 600) * 1_000; // the longest wait of a sidecar's budget
        $this->save($slot, [$pair, '', 0, $until, $until]);
    }

    /** Returns for how many seconds it is too early for a report; 0: it is not. */
    public function delayed(string $kind, #[\SensitiveParameter] string $credential): int
    {
        [$slot, $pair] = $this->slot($kind, self::mark($credential));
        [, , , $until] = $this->load($slot, $pair, self::now()) ?? [null, null, null, 0];

        return max(0, intdiv($until - self::now() + 999, 1_000));
    }

    private static function mark(#[\SensitiveParameter] string $credential): string
    {
        return substr(hash('sha256', $credential), 0, 8);
    }

    private static function now(): int
    {
        return intdiv(hrtime(true), 1_000_000); // the same clock in all processes of a machine
    }

    /** @return array{string, string} the name of the slot, and what tells pairs in it apart */
    private function slot(string $first, string $second): array
    {
        $pair = "$this->appId $first $second";

        return ['wxsidecar:backoff:' . crc32($pair) % self::SLOTS, hash('sha256', $pair)];
    }

    /** @return array{string, string, int, int, int}|null null if the slot does not have the pair */
    private function load(string $slot, string $pair, int $now): ?array
    {
        $state = $this->shared ? apcu_fetch($slot) : self::$here[$slot] ?? null;

        return is_array($state) && $state[0] === $pair && $now < $state[4] ? $state : null;
    }

    /** @param array{string, string, int, int, int}|null $state null: forget it */
    private function save(string $slot, ?array $state): void
    {
        if ($this->shared) {
            $state === null ? apcu_delete($slot) : apcu_store($slot, $state);
        } elseif ($state === null) {
            unset(self::$here[$slot]);
        } else {
            self::$here[$slot] = $state;
        }
    }
}
