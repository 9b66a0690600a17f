<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Client;
use Wxsidecar\InvalidArgument;
use Wxsidecar\SidecarUnavailable;

final class ReadTest extends TestCase
{
    /** @dataProvider extensions */
    public function testHitIsOneGet(string $extension): void
    {
        $this->memcached->set('wx1', self::TOKEN);
        $client = $this->alone($extension);
        $before = $this->memcached->gets();
        self::assertToken(self::TOKEN, $client->accessToken());
        self::assertSame(1, $this->memcached->gets() - $before);
    }

    /** @dataProvider extensions */
    public function testKeys(string $extension): void
    {
        foreach (['p:wx1', 'p:wx1:jsapi_ticket', 'p:wx1:wx_card_ticket', 'p:wx2'] as $i => $key) {
            $this->memcached->set($key, "canarytoken-000$i");
        }
        $m = $this->memcached->client($extension);
        $client = new Client('wx1', memcached: $m, sidecar: 'http://127.0.0.1:1', prefix: 'p:');
        self::assertToken('canarytoken-0000', $client->accessToken());
        self::assertToken('canarytoken-0001', $client->ticket('jsapi'));
        self::assertToken('canarytoken-0002', $client->ticket('wx_card'));
        self::assertToken('canarytoken-0003', $client->forAccount('wx2')->accessToken());
        self::assertToken('canarytoken-0000', $client->accessToken(), 'the first account, as before');
    }

    /** @dataProvider extensions */
    public function testMissComesFromTheSidecar(string $extension): void
    {
        $sidecar = $this->canned();
        $sidecar->answer(CannedServer::http(200, self::token(self::OTHER)));
        $client = new Client('wx1', $this->memcached->client($extension), $sidecar->address);
        self::assertToken(self::OTHER, $client->accessToken());
        $this->memcached->set('wx1', self::TOKEN);
        self::assertToken(self::TOKEN, $client->accessToken(), 'no pause: a miss is no failure');
        self::assertStringStartsWith('GET /v1/wx1/access_token HTTP/1.', $sidecar->requests()[0]['text']);
        self::assertStringContainsString("\r\nX-Wxsidecar: 1\r\n", $sidecar->requests()[0]['text']);
    }

    /**
     * Go and the README's lines have the same table.
     *
     * @dataProvider extensions
     */
    public function testDamagedValueIsAMiss(string $extension): void
    {
        $sidecar = $this->canned();
        $sidecar->answer(CannedServer::http(200, self::token(self::OTHER)));
        $file = (string) file_get_contents(__DIR__ . '/../../../memcache/memcachetest/entries/table.json');
        $rows = json_decode($file, true, flags: JSON_THROW_ON_ERROR);
        $rows[] = ['name' => 'flags of an app', 'value' => self::TOKEN, 'flags' => 1 << 20, 'valid' => false];
        foreach ($rows as $row) {
            ['name' => $name, 'flags' => $flags, 'valid' => $valid] = $row;
            $value = str_repeat($row['value'], $row['repeat'] ?? 1);
            $this->memcached->set('wx1', $value, $flags);
            $client = new Client('wx1', $this->memcached->client($extension), $sidecar->address);
            self::assertToken($valid ? $value : self::OTHER, $client->accessToken(), $name);
            $this->memcached->set('wx1', self::TOKEN);
            self::assertToken(self::TOKEN, $client->accessToken(), "no pause after $name: a miss is no failure");
        }
    }

    public function testNoMemcachedMeansTheSidecar(): void
    {
        $sidecar = $this->canned();
        $sidecar->answer(CannedServer::http(200, self::token(self::TOKEN)));
        self::assertToken(self::TOKEN, (new Client('wx1', sidecar: $sidecar->address))->accessToken());
    }

    /**
     * Frameworks turn every notice without @ into an exception.
     *
     * @dataProvider extensions
     */
    public function testNoNoticeReachesAnErrorHandler(string $extension): void
    {
        $this->memcached->set('wx1', 'not serialized', $extension === 'memcached' ? 5 : 1);
        $client = $this->alone($extension);
        $gone = $this->alone($extension);
        set_error_handler(static function (int $level, string $text): bool {
            return (error_reporting() & $level) === 0 ? true : throw new \ErrorException($text);
        });
        try {
            $this->assertFails(SidecarUnavailable::class, fn () => $client->accessToken());
            $this->memcached->kill();
            $this->assertFails(SidecarUnavailable::class, fn () => $gone->accessToken());
        } finally {
            restore_error_handler();
        }
    }

    /** @dataProvider invalidArguments */
    public function testInvalidArguments(\Closure $call): void
    {
        $this->assertFails(InvalidArgument::class, $call);
    }

    /** As if getenv() found no variable. */
    public function testEmptyAppId(): void
    {
        $e = $this->assertFails(InvalidArgument::class, fn () => new Client((string) getenv('NO_SUCH_VARIABLE')));
        self::assertStringContainsString('the AppID is empty; check the variable', $e->getMessage());
    }

    public function testLimitsOfWechatWait(): void
    {
        $this->expectNotToPerformAssertions();
        new Client('wx1', wechatWait: 0.001);
        new Client('wx1', wechatWait: 3600);
    }

    /** @return iterable<string, array{\Closure}> */
    public function invalidArguments(): iterable
    {
        foreach (['', 'wx 1', "wx1\n", 'wx1/..', str_repeat('a', 65), 'wx1:lease'] as $appId) {
            $name = trim(substr($appId, 0, 10));
            yield "the AppID '$name'" => [fn () => new Client($appId)];
            yield "another account '$name'" => [fn () => (new Client('wx1'))->forAccount($appId)];
        }
        foreach ([str_repeat('0', 32), 'fedcba98765432100123456789ABCDEF'] as $secret) {
            yield "the AppSecret $secret" => [fn () => new Client($secret)];
            yield "another account's AppSecret $secret" => [fn () => (new Client('wx1'))->forAccount($secret)];
        }
        $addresses = [
            'none' => '',
            'no scheme' => '127.0.0.1:7200',
            'another scheme' => 'ftp://h',
            'no path' => 'unix://',
            'a relative path' => 'unix://relative',
            'no host' => 'http://',
            'port 0' => 'http://h:0',
            'port 70000' => 'http://h:70000',
            'a password' => 'http://user:canarysecret@h',
            'a query' => 'http://h/?canarysecret',
            'a fragment' => 'http://h/#f',
            'a line end' => "http://h\n",
            'a space' => 'http://h h',
        ];
        foreach ($addresses as $what => $address) {
            yield "an address with $what" => [fn () => new Client('wx1', sidecar: $address)];
        }
        yield 'a prefix with a space' => [fn () => new Client('wx1', prefix: 'a b')];
        yield 'a prefix of 121 bytes' => [fn () => new Client('wx1', prefix: str_repeat('a', 121))];
        foreach ([0, -0.0, -1, 0.00099, 3600.001, NAN, INF, -INF] as $seconds) {
            yield "a wait of $seconds s for WeChat" => [fn () => new Client('wx1', wechatWait: $seconds)];
        }
        yield 'an unknown kind of ticket' => [fn () => (new Client('wx1'))->ticket('access_token')];
        yield 'a host that is a path' => [fn () => new Client('wx1', wechatHosts: ['a/b'])];
    }
}
