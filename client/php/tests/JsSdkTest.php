<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Client;
use Wxsidecar\InvalidArgument;
use Wxsidecar\JsSdk;
use Wxsidecar\Refused;

/** Signatures for the JS-SDK. */
final class JsSdkTest extends TestCase
{
    /** The example on WeChat's page about the JS-SDK. */
    public function testWechatsExample(): void
    {
        $ticket = 'sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg';
        $page = 'http://mp.weixin.qq.com?params=value';
        $signature = JsSdk::signature($ticket, 'Wm3WZYTPz0wzccnW', 1414587457, $page);
        self::assertSame('0f9de62fce790f9a083d5c99e95740ceb90c27ed', $signature);
    }

    /** @dataProvider pages */
    public function testPages(object $shared, object $page): void
    {
        if ($page->refused ?? false) {
            $this->expectException(InvalidArgument::class);
        }
        $signed = JsSdk::page($page->url);
        self::assertSame($page->signed, $signed);
        $signature = JsSdk::signature($shared->ticket, $shared->nonceStr, $shared->timestamp, $signed);
        self::assertSame($page->signature, $signature);
    }

    /** @return iterable<string, array{object, object}> the cases that Go has too */
    public static function pages(): iterable
    {
        $table = self::table('signatures');
        foreach ($table->pages as $page) {
            yield $page->name => [$table, $page];
        }
    }

    public function testPageThatIsNotUtf8(): void
    {
        $this->assertFails(InvalidArgument::class, fn () => JsSdk::page("https://example.com/\xff"));
        $long = 'https://example.com/' . str_repeat('a', 100_000);
        self::assertSame($long, JsSdk::page("$long#"));
    }

    /** @dataProvider extensions */
    public function testJsConfigSignsWithTheTicketInMemcached(string $extension): void
    {
        $ticket = 'canarytoken-ticket';
        $this->memcached->set('wx1:jsapi_ticket', $ticket);
        $client = $this->alone($extension);
        $config = $client->jsConfig('https://example.com/?a=1&b=2#/cart');
        ['nonceStr' => $nonce, 'timestamp' => $time] = $config;
        self::assertSame(['appId', 'timestamp', 'nonceStr', 'signature', 'url'], array_keys($config));
        self::assertSame(['wx1', 'https://example.com/?a=1&b=2'], [$config['appId'], $config['url']]);
        self::assertEqualsWithDelta(time(), $time, 5);
        self::assertSame(JsSdk::signature($ticket, $nonce, $time, $config['url']), $config['signature']);
        self::assertNotSame($nonce, $client->jsConfig('https://example.com/')['nonceStr']);
        $this->assertFails(InvalidArgument::class, fn () => $client->jsConfig('canarytoken'));
    }

    public function testJsConfigOfARealSidecar(): void
    {
        $appId = FakeWechat::get()->account();
        $client = new Client($appId, sidecar: $this->sidecar($appId, false, ['WECHAT_TICKETS' => 'jsapi'])->address);
        $config = $client->jsConfig('https://example.com/');
        ['nonceStr' => $nonce, 'timestamp' => $time] = $config;
        $signature = JsSdk::signature($client->ticket('jsapi'), $nonce, $time, 'https://example.com/');
        self::assertSame($signature, $config['signature']);
        $without = FakeWechat::get()->account();
        $client = new Client($without, sidecar: $this->sidecar($without)->address);
        $e = $this->assertFails(Refused::class, fn () => $client->jsConfig('https://example.com/'));
        self::assertSame(404, $e->errcode);
    }
}
