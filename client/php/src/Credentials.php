<?php

declare(strict_types=1);

namespace Wxsidecar;

/**
 * The credentials of a request to WeChat. If it has or needs another one than the
 * account's access_token, a refusal there says nothing about that token.
 *
 * @internal
 */
final class Credentials
{
    /** Paths that need another credential: an AppSecret, a user's token or a platform's. */
    private const OTHER_PATHS = '~^(/cgi-bin/(token|stable_token|clear_quota/v2)$|/cgi-bin/component/|/sns/)~D';

    /** Reports whether the query has a credential, or the path needs another one. */
    public static function any(string $path, #[\SensitiveParameter] string $query): bool
    {
        return self::otherPath($path) || self::parameters($query) !== [];
    }

    /** Returns the access_token of a request; null if it has none, or has or needs another credential. */
    public static function token(string $path, #[\SensitiveParameter] string $query): ?string
    {
        $parameters = self::parameters($query);
        [$name, $value] = $parameters[0] ?? ['', ''];
        $alone = count($parameters) === 1 && $name === 'access_token' && !self::otherPath($path);

        return $alone ? $value : null;
    }

    private static function otherPath(string $path): bool
    {
        return preg_match(self::OTHER_PATHS, rawurldecode($path)) === 1;
    }

    /**
     * Returns access_token and all parameters that end in it: component_access_token, cloudbase_access_token …
     *
     * @return list<array{string, string}> names and values, decoded
     */
    private static function parameters(#[\SensitiveParameter] string $query): array
    {
        $parameters = [];
        foreach (preg_split('/[&;]/', $query) ?: [] as $pair) {
            [$name, $value] = array_map(rawurldecode(...), explode('=', $pair, 2) + [1 => '']);
            if (str_ends_with($name, 'access_token')) {
                $parameters[] = [$name, $value];
            }
        }

        return $parameters;
    }
}
