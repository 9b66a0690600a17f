<?php

declare(strict_types=1);

namespace Wxsidecar;

/**
 * The file with the bearer token that a sidecar requires. During a rotation it has two
 * lines, and sidecars accept both. It is read for every request, because it can change.
 *
 * @internal
 */
final class Bearer
{
    /** Bytes of the file: servers refuse a header of 8 KiB. */
    private const MAX = 4_096;

    public function __construct(private readonly string $file)
    {
    }

    /**
     * Returns the first token in the file that is not $sent, or null.
     *
     * @param string $what what the token is for
     * @throws SidecarUnavailable if the file has none or is invalid
     */
    public function other(string $what, #[\SensitiveParameter] ?string $sent): ?string
    {
        $content = is_file($this->file) ? @file_get_contents($this->file, false, null, 0, self::MAX + 1) : false;
        $lines = array_map(trim(...), preg_split('/[\r\n]+/', trim((string) $content)) ?: []);
        $valid = preg_grep('/^[!-~]+$/D', $lines) === $lines && count($lines) <= 2;
        if ($content === false || strlen($content) > self::MAX || !$valid) {
            throw new SidecarUnavailable("$what: the bearer token in $this->file is unreadable, empty, too long or not "
                . 'ASCII (a byte order mark is not); use one word, or two lines during a rotation');
        }

        return array_values(array_diff($lines, [$sent]))[0] ?? null;
    }
}
