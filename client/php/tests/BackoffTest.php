<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Backoff;

final class BackoffTest extends \PHPUnit\Framework\TestCase
{
    private Backoff $backoff;

    protected function setUp(): void
    {
        Clock::$now = 0;
        $this->backoff = new Backoff('wx' . bin2hex(random_bytes(8)));
    }

    /** A request that is refused whatever the token: each report brings a new token, and the repetition fails too. */
    public function testReportsBackOff(): void
    {
        $reports = [];
        for ($n = 1; Clock::$now < 3_000; Clock::advance(0.5)) {
            if ($this->backoff->refused('POST', '/x', "canarytoken-000$n")) {
                $reports[] = Clock::$now;
                $n++;
                self::assertFalse($this->backoff->refused('POST', '/x', "canarytoken-000$n"), 'the repetition');
            }
        }
        self::assertSame([0.0, 31.0, 91.0, 211.0, 451.0, 931.0, 1531.0, 2131.0, 2731.0], $reports);
    }

    /** Only a newer token proves that the request is at fault. */
    public function testSameTokenIsReportedAgain(): void
    {
        self::assertTrue($this->backoff->refused('POST', '/x', 'canarytoken-0001'));
        self::assertTrue($this->backoff->refused('POST', '/x', 'canarytoken-0001'), 'another caller');
    }

    public function testSuccessResets(): void
    {
        $this->backoff->refused('POST', '/x', 'canarytoken-0001');
        $this->backoff->refused('POST', '/x', 'canarytoken-0002');
        $this->backoff->accepted('POST', '/x');
        self::assertTrue($this->backoff->refused('POST', '/x', 'canarytoken-0003'));
    }

    public function testPairsAreIndependent(): void
    {
        $this->backoff->refused('POST', '/x', 'canarytoken-0001');
        $this->backoff->refused('POST', '/x', 'canarytoken-0002');
        $this->backoff->accepted('GET', '/x');
        $this->backoff->accepted('POST', '/y');
        self::assertFalse($this->backoff->refused('POST', '/x', 'canarytoken-0002'));
        self::assertTrue($this->backoff->refused('GET', '/x', 'canarytoken-0002'));
        self::assertTrue($this->backoff->refused('POST', '/y', 'canarytoken-0002'));
        self::assertTrue((new Backoff('wx1'))->refused('POST', '/x', 'canarytoken-0002'), 'another account');
    }

    /** 256 pairs at most; the next ones replace earlier ones. */
    public function testMemoryIsBounded(): void
    {
        for ($i = 0; $i < 2_000; $i++) {
            $this->backoff->refused('POST', "/$i", 'canarytoken-0001');
            $this->backoff->refused('POST', "/$i", 'canarytoken-0002');
        }
        $remembered = 0;
        while (--$i >= 0) {
            $remembered += $this->backoff->refused('POST', "/$i", 'canarytoken-0002') ? 0 : 1;
        }
        self::assertGreaterThan(0, $remembered);
        self::assertLessThanOrEqual(256, $remembered);
    }

    /** A refusal of long ago says nothing about this one. */
    public function testOldRefusalIsForgotten(): void
    {
        $this->backoff->refused('POST', '/x', 'canarytoken-0001');
        Clock::advance(1_200);
        self::assertTrue($this->backoff->refused('POST', '/x', 'canarytoken-0002'));
    }

    public function testTokensAreNotStored(): void
    {
        $this->backoff->refused('POST', '/x', 'canarytoken-0001');
        $here = (new \ReflectionProperty(Backoff::class, 'here'))->getValue();
        $stored = serialize([$this->backoff, $here, apcu_enabled() ? iterator_to_array(new \APCUIterator('~.~')) : 0]);
        self::assertFalse(str_contains($stored, 'canarytoken'));
    }
}
