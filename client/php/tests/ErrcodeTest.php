<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Errcode;
use Wxsidecar\Response;

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

    /** As in Go. */
    public function testAnswerAtTheLimit(): void
    {
        $body = static fn (int $size): string => '{"x":"' . str_repeat('x', $size - 24) . '","errcode":40001}';
        self::assertTrue((new Response(200, [], $body(Errcode::HEAD)))->refusesToken());
        self::assertFalse((new Response(200, [], $body(Errcode::HEAD + 1)))->refusesToken());
    }

    public function testLongAnswer(): void
    {
        $long = str_repeat('中', Errcode::HEAD);
        self::assertTrue(Errcode::refuses(substr("{\"errcode\":40001,\"x\":\"$long\"}", 0, Errcode::HEAD)));
        self::assertFalse(Errcode::refuses(substr("{\"x\":\"$long\",\"errcode\":40001}", 0, Errcode::HEAD)));
        self::assertSame(45009, Errcode::of("{\"x\":\"$long\x01\",\"errcode\":45009}"));
    }
}
