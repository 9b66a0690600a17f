<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Tokens;

final class TokensTest extends \PHPUnit\Framework\TestCase
{
    public function testLastTokensAreRemembered(): void
    {
        $tokens = new Tokens();
        self::assertFalse($tokens->has('canarytoken-1'));
        for ($i = 1; $i <= 9; $i++) {
            $tokens->add("canarytoken-$i");
            $tokens->add("canarytoken-$i");
        }
        self::assertFalse($tokens->has('canarytoken-1'), 'eight, so that a worker that runs for months keeps no more');
        self::assertTrue($tokens->has('canarytoken-2'));
        self::assertFalse($tokens->refused('canarytoken-2'));
        $tokens->refuse('canarytoken-2');
        $tokens->add('canarytoken-2');
        self::assertTrue($tokens->refused('canarytoken-2'));
        self::assertFalse(str_contains(print_r($tokens, true), 'canarytoken'));
    }
}
