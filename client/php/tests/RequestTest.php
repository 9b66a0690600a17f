<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Client;
use Wxsidecar\InvalidArgument;
use Wxsidecar\Wechat;
use Wxsidecar\WechatUnavailable;

final class RequestTest extends TestCase
{
    private CannedServer $wechat;
    private CannedServer $sidecar;
    /** Has a token in memcached, a sidecar that renews it, and a WeChat with canned answers. */
    private Client $client;

    protected function setUp(): void
    {
        parent::setUp();
        [$this->wechat, $this->sidecar] = [$this->canned(), $this->canned()];
        $appId = "wx{$this->wechat->port}"; // its own, because the process remembers what was refused
        $this->memcached->set($appId, self::TOKEN);
        $this->memcached->set('wx1', self::TOKEN);
        $this->sidecar->answer(CannedServer::http(200, self::token(self::OTHER)));
        $m = $this->memcached->client('memcached');
        $host = "127.0.0.1:{$this->wechat->port}";
        $this->client = new Client($appId, $m, $this->sidecar->address, wechatHosts: [$host]);
    }

    private static function refusal(int $errcode): string
    {
        return CannedServer::http(200, (string) json_encode(['errcode' => $errcode, 'errmsg' => 'no rid: 1']));
    }

    public function testRequestCarriesTheToken(): void
    {
        $wechat = FakeWechat::get();
        $appId = $wechat->account();
        $client = new Client($appId, sidecar: $this->sidecar($appId)->address, wechatHosts: [$wechat->host()]);
        $answer = $client->request('GET', "$wechat->url/cgi-bin/user/get?next_openid=o1");
        self::assertSame(200, $answer->status);
        self::assertSame(0, $answer->errcode());
        self::assertSame('ok', $answer->json()['errmsg'] ?? null);
    }

    public function testRealSidecarRenewsARefusedToken(): void
    {
        $wechat = FakeWechat::get();
        $appId = $wechat->account();
        $client = new Client($appId, sidecar: $this->sidecar($appId)->address, wechatHosts: [$wechat->host()]);
        $old = $client->accessToken();
        $wechat->externalFetches($appId);
        self::assertSame(0, $client->request('POST', "$wechat->url/cgi-bin/menu/create", ['button' => []])->errcode());
        self::assertSame(2, $wechat->issues($appId));
        self::assertNotSame(hash('sha256', $old), hash('sha256', $client->accessToken()));
    }

    /** @dataProvider refusals */
    public function testSecondRequestDiffersInItsTokenOnly(int $errcode): void
    {
        $this->wechat->answer(self::refusal($errcode), self::refusal(0));
        $url = "{$this->wechat->address}/cgi-bin/x?a=1&b=%20";
        $answer = $this->client->request('POST', $url, ['name' => '菜单/1'], ['X-Mine' => 'yes']);
        self::assertSame(0, $answer->errcode());
        [$first, $second] = array_column($this->wechat->requests(), 'text');
        self::assertTrue(str_starts_with($first, 'POST /cgi-bin/x?a=1&b=%20&access_token=canarytoken-0001 HTTP/1.'));
        self::assertTrue(str_ends_with($first, "\r\n\r\n" . '{"name":"菜单/1"}'), 'JSON without escapes');
        self::assertTrue(str_contains($first, "\r\nX-Mine: yes\r\n"));
        self::assertTrue(str_contains($first, "\r\nContent-Type: application/json\r\n"));
        self::assertTrue($second === strtr($first, [self::TOKEN => self::OTHER]), 'the same but for the token');
        self::assertCount(1, $this->sidecar->requests());
        self::assertTrue(str_ends_with($this->sidecar->requests()[0]['text'], '{"rejected":"canarytoken-0001"}'));
    }

    /** @return array<string, array{int}> */
    public function refusals(): array
    {
        return ['40001' => [40001], '40014' => [40014], '42001' => [42001]];
    }

    /** @dataProvider otherAnswers */
    public function testOtherAnswersAreReturnedUnchanged(string $raw): void
    {
        $this->wechat->answer($raw);
        $answer = $this->client->request('GET', "{$this->wechat->address}/cgi-bin/x");
        self::assertSame(explode("\r\n\r\n", $raw, 2)[1], $answer->body);
        self::assertCount(1, $this->wechat->requests());
        self::assertSame([], $this->sidecar->requests());
    }

    /** @return array<string, array{string}> */
    public function otherAnswers(): array
    {
        return [
            '48001: the account is not authorized' => [self::refusal(48001)],
            '45009: quota exceeded' => [self::refusal(45009)],
            'an errcode in a nested object' => [CannedServer::http(200, '{"list":[{"errcode":40001}]}')],
            'a picture' => [strtr(CannedServer::http(200, "\xff\xd8\xff{}"), ['application/json' => 'image/jpeg'])],
            'a long answer' => [CannedServer::http(200, '{"x":"' . str_repeat('a', 65_536) . '","errcode":40001}')],
            'a server error' => [CannedServer::http(500, 'oops')],
        ];
    }

    /** The cases that Go has too. */
    public function testRefusalsAreReported(): void
    {
        foreach (self::table('refusals') as $i => $row) {
            $body = (string) base64_decode($row->base64);
            $headers = "Content-Type: $row->content_type\r\nContent-Length: " . strlen($body);
            $this->wechat->answer("HTTP/1.1 200 OK\r\n$headers\r\nConnection: close\r\n\r\n$body", self::refusal(0));
            [$reports, $requests] = [count($this->sidecar->requests()), count($this->wechat->requests())];
            $answer = $this->client->request('GET', "{$this->wechat->address}/cgi-bin/$i");
            self::assertCount($reports + ($row->refused ? 1 : 0), $this->sidecar->requests(), $row->name);
            self::assertCount($requests + ($row->refused ? 2 : 1), $this->wechat->requests(), $row->name);
            self::assertTrue($row->refused || $answer->body === $body, $row->name);
        }
    }

    public function testErrcodeOfAnUnusualAnswer(): void
    {
        $this->wechat->answer(CannedServer::http(200, "{\"errmsg\":\"\xce\xde\x01\",\"errcode\":\"45009\"}\0"));
        self::assertSame(45009, $this->client->request('GET', "{$this->wechat->address}/cgi-bin/x")->errcode());
    }

    /** Some requests are refused whatever the token. */
    public function testReportsOfARequestAtFaultBackOff(): void
    {
        $this->wechat->answer(self::refusal(40001));
        $url = "{$this->wechat->address}/cgi-bin/x?a=";
        for ($i = 0; $i < 3; $i++) {
            $this->client->request('GET', $url . $i);
        }
        self::assertCount(1, $this->sidecar->requests());
        self::assertCount(4, $this->wechat->requests(), 'the first one is repeated');
        $this->client->request('POST', $url);
        self::assertCount(2, $this->sidecar->requests(), 'another method');
        Clock::advance(31);
        $this->client->request('GET', $url);
        self::assertCount(3, $this->sidecar->requests());
        $this->wechat->answer(self::refusal(0), self::refusal(40001));
        $this->client->request('GET', $url);
        $this->client->request('GET', $url);
        self::assertCount(4, $this->sidecar->requests(), 'a success ends it');
    }

    public function testRequestIsRepeatedOnce(): void
    {
        $this->wechat->answer(self::refusal(42001), self::refusal(40001), self::refusal(0));
        self::assertSame(40001, $this->client->request('GET', "{$this->wechat->address}/cgi-bin/x")->errcode());
        self::assertCount(2, $this->wechat->requests());
    }

    public function testFirstAnswerWithoutAnotherToken(): void
    {
        $this->wechat->answer(self::refusal(40001));
        $url = "{$this->wechat->address}/cgi-bin/x";
        $this->sidecar->answer(CannedServer::http(200, self::token(self::TOKEN)));
        self::assertSame(40001, $this->client->request('GET', $url)->errcode(), 'the same token');
        $this->sidecar->answer(CannedServer::http(429, '{"errcode":429,"errmsg":"so soon"}', 'Retry-After: 9'));
        self::assertSame(40001, $this->client->request('GET', $url)->errcode(), 'too early for a renewal');
        $this->sidecar->end();
        self::assertSame(40001, $this->client->request('GET', $url)->errcode(), 'no sidecar');
        self::assertCount(3, $this->wechat->requests());
    }

    public function testRedirectIsReturnedWithoutTheToken(): void
    {
        $other = $this->canned();
        $other->answer(self::refusal(0));
        $this->wechat->answer(CannedServer::http(302, '', "Location: $other->address/?access_token=canarytoken-0001"));
        $answer = $this->client->request('GET', "{$this->wechat->address}/cgi-bin/x");
        self::assertSame(302, $answer->status);
        self::assertTrue($answer->headers['location'] === "$other->address/?access_token=[redacted]");
        self::assertSame([], $other->requests());
    }

    public function testMethodsAndBodiesAreSentUnchanged(): void
    {
        $this->wechat->answer(self::refusal(0));
        $this->client->request('GET', "{$this->wechat->address}/cgi-bin/a");
        $this->client->request('POST', "{$this->wechat->address}/cgi-bin/b");
        $this->client->request('POST', "{$this->wechat->address}/cgi-bin/c", '<xml/>', ['Content-Type' => 'text/xml']);
        [$get, $empty, $xml] = str_replace('canarytoken', '', array_column($this->wechat->requests(), 'text'));
        self::assertStringNotContainsStringIgnoringCase('content-', $get);
        self::assertStringContainsStringIgnoringCase("\r\ncontent-length: 0\r\n", $empty);
        self::assertStringContainsString("\r\nContent-Type: text/xml\r\n", $xml);
        self::assertStringNotContainsString('application/json', $xml);
        self::assertStringEndsWith("\r\n\r\n<xml/>", $xml);
    }

    public function testInvalidCertificate(): void
    {
        $url = strtr(FakeWechat::get()->url, ['127.0.0.1' => '0.0.0.0']); // the same server, but not in its certificate
        $client = new Client('wx1', $this->memcached->client('memcached'), wechatHosts: ['0.0.0.0']);
        $e = $this->assertFails(WechatUnavailable::class, fn () => $client->request('GET', "$url/cgi-bin/x"));
        self::assertMatchesRegularExpression('/^GET 0\.0\.0\.0:.*certificate/', $e->getMessage());
    }

    public function testMessageNamesWechatWithoutTheToken(): void
    {
        $this->wechat->end();
        $url = "{$this->wechat->address}/cgi-bin/x";
        $e = $this->assertFails(
            WechatUnavailable::class,
            fn () => $this->client->request('POST', $url, ['a' => 'canarysecret']),
        );
        self::assertStringStartsWith("POST 127.0.0.1:{$this->wechat->port}/cgi-bin/x: ", $e->getMessage());
    }

    /** https through a proxy is a tunnel; streams use no proxy. */
    public function testProxySeesNoToken(): void
    {
        $proxy = $this->canned();
        $proxy->answer("HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        $this->wechat->answer(self::refusal(0));
        $client = new Client('wx1', $this->memcached->client('memcached'), wechatHosts: [FakeWechat::get()->host()]);
        $this->withProxy($proxy, function () use ($client, $proxy): void {
            self::assertSame(0, $this->client->request('GET', "{$this->wechat->address}/cgi-bin/x")->errcode());
            self::assertSame([], $proxy->requests(), 'plain http uses no proxy');
            $call = fn () => $client->request('GET', FakeWechat::get()->url . '/cgi-bin/x');
            function_exists('curl_init') ? $this->assertFails(WechatUnavailable::class, $call) : $call();
        });
        $seen = implode(array_column($proxy->requests(), 'text'));
        self::assertSame(function_exists('curl_init'), str_starts_with($seen, 'CONNECT ' . FakeWechat::get()->host()));
        self::assertFalse(str_contains($seen, 'canarytoken'));
    }

    /** Go has the same table. */
    public function testHostsThatGetTheToken(): void
    {
        $table = self::table('hosts');
        $transport = new RecordingTransport();
        $wechat = new Wechat($transport, $table->wechat_hosts, 30);
        foreach ($table->urls as $i => $row) {
            $call = fn () => $wechat->request($this->client, 'GET', $row->url, null, []);
            $row->token ? $call() : $this->assertFails(InvalidArgument::class, $call);
            $sent = implode(array_map(static fn ($request): string => (string) $request->url, $transport->requests));
            $with = $row->url . (str_contains($row->url, '?') ? '&' : '?') . 'access_token=canarytoken-0001';
            $want = $row->token ? strtolower(strtr($with, [':443/' => '/', '127.0.0.1:80/' => '127.0.0.1/'])) : '';
            self::assertTrue(strtolower($sent) === $want, $row->url);
            $transport->requests = [];
        }
        foreach ($table->entries as $row) {
            $call = fn () => new Wechat($transport, [$row->entry], 30);
            $row->valid ? $call() : $this->assertFails(InvalidArgument::class, $call);
        }
    }

    /** @dataProvider otherUrls */
    public function testOtherUrlsGetNoToken(string $url): void
    {
        $call = fn () => $this->client->request('GET', $url);
        $this->assertFails(InvalidArgument::class, $call);
    }

    /** @return array<string, array{string}> URLs that Go changes or refuses before */
    public function otherUrls(): array
    {
        return [
            'nothing' => [''],
            'a line end' => ["https://api.weixin.qq.com\n/a"],
            'a fragment' => ['https://api.weixin.qq.com/a#b'],
            'a space' => ['https://api.weixin.qq.com/a b'],
            'not ASCII' => ['https://api.weixin.qq.com/菜单'],
        ];
    }

    /** @dataProvider invalidRequests */
    public function testInvalidRequestIsNotSent(string $method, mixed $body, string $name, string $value): void
    {
        $this->wechat->answer(self::refusal(0));
        $url = "{$this->wechat->address}/cgi-bin/x";
        $call = fn () => $this->client->request($method, $url, $body, [$name => $value]);
        $this->assertFails(InvalidArgument::class, $call);
        self::assertSame([], $this->wechat->requests());
    }

    /** @return array<string, array{string, mixed, string, string}> */
    public function invalidRequests(): array
    {
        return [
            'a method with a line end' => ["GET / HTTP/1.1\r\n", null, 'X', 'y'],
            'a method in lower case' => ['get', null, 'X', 'y'],
            'a header with a line end' => ['GET', null, 'X', "canarysecret\r\nX-Other: z"],
            'a header whose name has a colon' => ['GET', null, 'X: y', 'z'],
            'a body that is no UTF-8' => ['POST', ['name' => "canarysecret\xff"], 'X', 'y'],
        ];
    }

    /** @dataProvider invalidHeaders */
    public function testInvalidHeaderIsNotSent(mixed $headers): void
    {
        $url = "{$this->wechat->address}/cgi-bin/x";
        $call = fn () => $this->client->request('GET', $url, headers: $headers);
        $e = $this->assertFails(InvalidArgument::class, $call);
        self::assertStringContainsString("['Name' => 'value']", $e->getMessage());
        self::assertSame([], $this->wechat->requests());
    }

    /** @return array<string, array{mixed}> */
    public function invalidHeaders(): array
    {
        return [
            'a list of lines' => [['X-A: canarysecret']],
            'a number' => [['X' => 1]],
            'null' => [['X' => null]],
            'a list of values' => [['X' => ['canarysecret']]],
            'a name that is a number' => [['1' => 'canarysecret']],
        ];
    }

    public function testInvalidWechatHosts(): void
    {
        foreach ([1, null, ['api.example'], ''] as $host) {
            $e = $this->assertFails(InvalidArgument::class, fn () => new Client('wx1', wechatHosts: [$host]));
            self::assertStringContainsString('use host or host:port', $e->getMessage());
        }
    }
}
