<?php

declare(strict_types=1);

namespace Wxsidecar;

/**
 * The last tokens that a Client returned, as fingerprints, and which of them WeChat
 * refused. So a decorator reports no token from elsewhere.
 *
 * @internal
 */
final class Tokens
{
    /** They last four minutes at least: renewals are 31 s apart. */
    private const MOST = 8;

    /** @var array<string, bool> whether WeChat refused it */
    private array $refused = [];

    public function add(#[\SensitiveParameter] string $token): void
    {
        $this->refused[self::fingerprint($token)] ??= false;
        if (count($this->refused) > self::MOST) {
            unset($this->refused[array_key_first($this->refused)]);
        }
    }

    public function has(#[\SensitiveParameter] string $token): bool
    {
        return isset($this->refused[self::fingerprint($token)]);
    }

    public function refuse(#[\SensitiveParameter] string $token): void
    {
        $this->refused[self::fingerprint($token)] = true;
    }

    public function refused(#[\SensitiveParameter] string $token): bool
    {
        return $this->refused[self::fingerprint($token)] ?? false;
    }

    private static function fingerprint(#[\SensitiveParameter] string $token): string
    {
        return hash('xxh128', $token);
    }
}
