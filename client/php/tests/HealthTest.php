<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use PHPUnit\Framework\TestCase;
use Wxsidecar\Health;

/** Overlapping calls, step by step: each object is a worker. */
final class HealthTest extends TestCase
{
    private Health $a;
    private Health $b;

    protected function setUp(): void
    {
        Clock::$now = 0;
        $name = bin2hex(random_bytes(8));
        [$this->a, $this->b] = [new Health($name), new Health($name)];
    }

    public function testConcurrentFailuresCountOnce(): void
    {
        self::assertTrue($this->a->enter($seenByA));
        self::assertTrue($this->b->enter($seenByB));
        $this->a->leave($seenByA, true);
        Clock::advance(0.6);
        $this->b->leave($seenByB, true);
        Clock::advance(0.5);
        self::assertTrue($this->a->enter($seenByA), 'the pause is 1 s from the first failure');
    }

    public function testLateSuccessDoesNotEndAnOutage(): void
    {
        $this->a->enter($seenByA);
        $this->b->enter($seenByB);
        $this->b->leave($seenByB, true);
        $this->a->leave($seenByA, false);
        self::assertFalse($this->a->enter($seenByA));
    }

    public function testOvertakenProbeChangesNothing(): void
    {
        $this->a->enter($seen);
        $this->a->leave($seen, true);
        Clock::advance(1);
        self::assertTrue($this->a->enter($seenByA), 'a probe');
        self::assertFalse($this->b->enter($seenByB), 'one at a time');
        Clock::advance(1);
        self::assertTrue($this->b->enter($seenByB), 'another one, because the first takes too long');
        $this->b->leave($seenByB, true);
        $this->a->leave($seenByA, false);
        self::assertFalse($this->a->enter($seenByA), 'the later result counts');
        Clock::advance(1.9);
        self::assertFalse($this->a->enter($seenByA), 'after the second failure');
        Clock::advance(0.1);
        self::assertTrue($this->a->enter($seenByA));
    }

    public function testServersAreIndependent(): void
    {
        $this->a->enter($seen);
        $this->a->leave($seen, true);
        self::assertFalse($this->b->enter($seen));
        self::assertTrue((new Health(bin2hex(random_bytes(8))))->enter($seen));
    }
}
