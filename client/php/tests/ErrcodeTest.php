<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Errcode;

final class ErrcodeTest extends TestCase
{
    /** @dataProvider answers */
    public function testRefusals(string $body, bool $refused): void
    {
        self::assertSame($refused, Errcode::refuses($body));
    }

    /** @return iterable<string, array{string, bool}> the cases that Go has too */
    public static function answers(): iterable
    {
        foreach (self::table('refusals') as $row) {
            yield $row->name => [(string) base64_decode($row->base64), $row->refused];
        }
    }

    public function testLongAnswer(): void
    {
        $long = str_repeat('中', Errcode::HEAD);
        self::assertTrue(Errcode::refuses(substr("{\"errcode\":40001,\"x\":\"$long\"}", 0, Errcode::HEAD)));
        self::assertFalse(Errcode::refuses(substr("{\"x\":\"$long\",\"errcode\":40001}", 0, Errcode::HEAD)));
        self::assertSame(45009, Errcode::of("{\"x\":\"$long\x01\",\"errcode\":45009}"));
    }
}
