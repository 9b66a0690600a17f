<?php

declare(strict_types=1);

namespace Wxsidecar;

/**
 * Reads the errcode of WeChat's answers. WeChat names many content types for them, so the first byte decides and not
 * Content-Type. client/testdata/refusals.json has the cases, which Go has too.
 *
 * @internal
 */
final class Errcode
{
    /** Bytes of an answer that suffice for refuses(): refusals have a few hundred. */
    public const HEAD = 65_536;

    private const FIRST = '~^(?:\xEF\xBB\xBF)?[ \t\r\n]*\{[ \t\r\n]*"errcode"[ \t\r\n]*:[ \t\r\n]*'
        . '(?:("[^"]*"|[0-9.eE+-]+)[ \t\r\n,}])?~';
    /** Passes over UTF-8 and escapes, and matches what JSON must not have: GBK, control bytes, half a surrogate pair. */
    private const INVALID = '~(?:[ !#-\[\]-\x7e"]|\\\\(?!u[dD][89a-fA-F])[ -\x7e]|[\xc2-\xdf][\x80-\xbf]'
        . '|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]'
        . '|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})++(*SKIP)(*FAIL)'
        . '|[\x81-\xfe][\x40-\x7e\x80-\xfe]|\\\\u[0-9a-fA-F]{4}|.~s';

    /** Reports whether WeChat refused the token: 40001, 40014 or 42001. Not 48001: the account is not authorized. */
    public static function refuses(#[\SensitiveParameter] string $head): bool
    {
        return in_array(self::of($head), [40001, 40014, 42001], true);
    }

    /**
     * Returns the errcode, or 0 if there is none. If it is the first member, the text after it can be cut off or
     * invalid JSON.
     */
    public static function of(#[\SensitiveParameter] string $text): int
    {
        if (preg_match(self::FIRST, $text, $first) === 1) {
            return self::number(trim($first[1] ?? '', '"'));
        }
        if (preg_match('~^(?:\xEF\xBB\xBF)?([ \t\r\n]*\{.*)$~sD', $text, $object) !== 1) {
            return 0;
        }
        $json = json_decode($object[1], true, self::HEAD);
        if ($json === null) {
            $legible = (string) preg_replace(['~[\x00-\x1f]~', self::INVALID], [' ', '?'], $object[1]);
            $json = json_decode($legible, true, self::HEAD);
        }
        $errcode = $json['errcode'] ?? 0;

        return is_scalar($errcode) && !is_bool($errcode) ? self::number((string) $errcode) : 0;
    }

    private static function number(string $text): int
    {
        $number = preg_match('/^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$/D', $text) === 1 ? (float) $text : 0.0;

        return floor($number) === $number && abs($number) < 1e9 ? (int) $number : 0;
    }
}
