<?php

declare(strict_types=1);

namespace Wxsidecar\Tests\EasyWeChat;

use Symfony\Component\HttpClient\MockHttpClient;
use Symfony\Component\HttpClient\Response\MockResponse;
use Wxsidecar\Client;
use Wxsidecar\EasyWeChat\HttpClient;
use Wxsidecar\EasyWeChatAccessToken;
use Wxsidecar\Tests\CannedServer;
use Wxsidecar\Tests\Clock;
use Wxsidecar\Tests\FakeWechat;

/** What HttpClient reports and repeats, with the HTTP client of Symfony. */
final class HttpClientTest extends EasyWeChatTestCase
{
    /** Only the token differs, wherever it is. */
    public function testRefusedRequestIsReportedAndRepeated(): void
    {
        $http = $this->http();
        $token = $this->wx->accessToken();
        $address = $this->wechat->address;
        foreach (
            [
                ['cgi-bin/x', $this->query()],
                ["$address/cgi-bin/x?a=%20&access_token=$token&b=+", []],
                ["/cgi-bin/x?access_token=$token", ['query' => ['b' => '菜单']]],
            ] as $i => [$url, $options]
        ) {
            $this->wechat->answer(self::refusal([40001, 40014, 42001][$i]), self::refusal(0));
            $this->memcached->set($this->wx->appId(), self::TOKEN);
            $options += ['body' => '{"name":"菜单"}', 'headers' => ['X-Mine: yes']];
            $answer = $http->request('POST', $url, $options);
            self::assertSame(['errcode' => 0, 'errmsg' => 'no rid: 1'], $answer->toArray());
            [$first, $second] = array_slice(array_column($this->wechat->requests(), 'text'), -2);
            self::assertSame(1, substr_count($first, self::TOKEN));
            self::assertStringContainsString("\r\nX-Mine: yes\r\n", $second);
            self::assertTrue($second === strtr($first, [self::TOKEN => self::OTHER]), 'the same but for the token');
        }
        $this->assertReported(self::TOKEN, self::TOKEN, self::TOKEN);
    }

    /** Before, EasyWeChat 6.19 got 40001 for every call, until the sidecars had polled. */
    public function testRealSidecarHealsTheFirstCall(): void
    {
        $wechat = FakeWechat::get();
        $appId = $wechat->account();
        $wx = new Client($appId, sidecar: $this->sidecar($appId)->address);
        $http = new HttpClient(self::symfony(['base_uri' => $wechat->url]), $wx);
        $access = new EasyWeChatAccessToken($wx);
        $failed = 0;
        for ($i = 0; $i < 20; $i++) {
            if ($i === 5) {
                $wechat->externalFetches($appId);
            }
            $answer = $http->request('GET', 'cgi-bin/user/get', ['query' => $access->toQuery()]);
            $failed += $answer->toArray()['errcode'] === 0 ? 0 : 1;
        }
        self::assertSame(0, $failed);
        self::assertSame(2, $wechat->issues($appId));
    }

    public function testOneTableOfRefusals(): void
    {
        $reports = 0;
        foreach (self::table('refusals') as $row) {
            $body = (string) base64_decode($row->base64);
            $type = $row->content_type === '' ? '' : "Content-Type: $row->content_type\r\n";
            $length = strlen($body);
            $raw = "HTTP/1.1 200 OK\r\n{$type}Content-Length: $length\r\nConnection: close\r\n\r\n$body";
            $this->wechat->answer($raw, self::refusal(0), $row->name);
            $got = $this->http()->request('GET', bin2hex($row->name), $this->query())->getContent();
            self::assertTrue($got === ($row->refused ? '{"errcode":0,"errmsg":"no rid: 1"}' : $body), $row->name);
            $reports += $row->refused ? 1 : 0;
        }
        self::assertCount($reports, $this->sidecar->requests());
    }

    public function testCredentialsOfOthersAreNotReported(): void
    {
        $this->wechat->answer(self::refusal());
        $this->memcached->set('wxother', 'canarytoken-of-another-account');
        $http = $this->http();
        $cases = [
            'a token from elsewhere' => 'access_token=canarytoken-from-elsewhere',
            'another account' => 'access_token=' . $this->wx->forAccount('wxother')->accessToken(),
            'a platform' => 'access_token=TOKEN&component_access_token=x',
            'an authorizer' => 'authorizer_access_token=x&access_token=TOKEN',
            'cloud hosting' => 'access_token=TOKEN&cloudbase_access_token=',
            'another name, encoded' => 'access_token=TOKEN&my_access%5Ftoken=x',
            'two tokens' => 'access_token=TOKEN&access_token=x',
            'none' => 'a=b',
            'a user' => 'access_token=TOKEN/sns/userinfo',
        ];
        foreach ($cases as $case => $query) {
            $query = strtr($query, ['TOKEN' => $this->wx->accessToken()]);
            [$query, $path] = explode('/', $query, 2) + [1 => 'cgi-bin/x'];
            $answer = $http->request('GET', "$path?$query");
            self::assertSame(40001, $answer->toArray()['errcode'], $case);
        }
        self::assertCount(count($cases), $this->wechat->requests());
        $this->assertReported();
    }

    /** A default option adds a parameter that the decorator is not given. */
    public function testCredentialOfDefaultOptions(): void
    {
        $this->wechat->answer(self::refusal());
        $defaults = ['base_uri' => $this->wechat->address, 'query' => ['cloudbase_access_token' => 'x']];
        $answer = $this->http(self::symfony($defaults))->request('GET', 'cgi-bin/x', $this->query());
        self::assertSame(40001, $answer->toArray()['errcode']);
        self::assertStringContainsString('cloudbase_access_token=x', $this->wechat->requests()[0]['text']);
        $this->assertReported();
    }

    public function testRequestIsRepeatedOnce(): void
    {
        $this->wechat->answer(self::refusal(), self::refusal(42001), self::refusal(0));
        $answer = $this->http()->request('GET', 'cgi-bin/x', $this->query());
        self::assertSame(42001, $answer->toArray()['errcode'], 'the second answer');
        self::assertCount(2, $this->wechat->requests());
        $this->assertReported(self::TOKEN);

        $this->sidecar->answer(...array_map(
            static fn (int $n): string => CannedServer::http(200, self::token("canarytoken-next-$n")),
            range(1, 9),
        ));
        $requests = 0;
        $inner = new MockHttpClient(function () use (&$requests): MockResponse {
            $requests++;
            $this->wx->backoff()->accepted('GET', '/cgi-bin/y'); // by another process

            return new MockResponse('{"errcode":40001}');
        });
        $this->http($inner)->request('GET', '/cgi-bin/y', $this->query())->getContent();
        self::assertSame(2, $requests);
    }

    public function testFirstAnswerWithoutAnotherToken(): void
    {
        $this->wechat->answer(self::refusal());
        $errcode = fn () => $this->http()->request('GET', 'cgi-bin/x', $this->query())->toArray()['errcode'];
        $this->sidecar->answer(CannedServer::http(200, self::token(self::TOKEN)));
        self::assertSame(40001, $errcode(), 'the same token');
        $this->sidecar->answer(CannedServer::http(429, '{"errcode":429,"errmsg":"so soon"}', 'Retry-After: 9'));
        self::assertSame(40001, $errcode(), 'too early for a renewal');
        $this->sidecar->end();
        self::assertSame(40001, $errcode(), 'no sidecar');
        self::assertCount(3, $this->wechat->requests());
    }

    public function testBodyThatIsReadOnceIsNotRepeated(): void
    {
        $generator = static function (): \Generator {
            yield 'a=';
            yield '1';
        };
        $cases = [
            'none' => [true, []],
            'a string' => [true, ['body' => 'a=1']],
            'a form' => [true, ['body' => ['a' => ['b' => 1]]]],
            'JSON' => [true, ['json' => ['a' => 1]]],
            'a resource' => [false, ['body' => fopen('data:,a=1', 'r')]],
            'a generator' => [false, ['body' => $generator()]],
            'a closure' => [false, ['body' => $generator]],
            'an iterator' => [false, ['body' => new \ArrayIterator(['a=', '1'])]],
        ];
        $reports = 0;
        $http = $this->http();
        foreach ($cases as $case => [$repeated, $options]) {
            $this->wechat->answer(self::refusal(), self::refusal(0), $case); // $case: counts from the first one again
            $before = count($this->wechat->requests());
            $options += $this->query() + ($repeated ? [] : ['headers' => ['Content-Length: 3']]);
            $answer = $http->request('POST', 'cgi-bin/' . bin2hex($case), $options);
            self::assertSame($repeated ? 0 : 40001, $answer->toArray()['errcode'], $case);
            $requests = array_slice(array_column($this->wechat->requests(), 'text'), $before);
            $bodies = array_map(static fn (string $text): string => explode("\r\n\r\n", $text, 2)[1], $requests);
            self::assertCount($repeated ? 2 : 1, $bodies, $case);
            self::assertCount(1, array_unique($bodies), $case);
            self::assertCount(++$reports, $this->sidecar->requests(), $case);
        }
    }

    /** A request that gets 40001 whatever the token must not cost everybody a renewal. */
    public function testReportsBackOffPerMethodAndPath(): void
    {
        $this->wechat->answer(self::refusal());
        $http = $this->http();
        $ask = fn (string $method, string $path) => $http->request($method, $path, $this->query())->getContent(false);
        $ask('GET', 'cgi-bin/x');
        $ask('GET', '/cgi-bin/x?a=1');
        self::assertCount(1, $this->sidecar->requests());
        self::assertCount(3, $this->wechat->requests());
        $ask('POST', 'cgi-bin/x');
        $ask('GET', 'cgi-bin/y');
        self::assertCount(3, $this->sidecar->requests(), 'another method, another path');
        Clock::advance(31);
        $ask('GET', 'cgi-bin/x');
        self::assertCount(4, $this->sidecar->requests());
        foreach ([self::refusal(48001), CannedServer::http(404, ''), self::refusal(0)] as $i => $answer) {
            $this->wechat->answer($answer);
            $ask('GET', 'cgi-bin/x');
            $this->wechat->answer(self::refusal());
            $ask('GET', 'cgi-bin/x');
            self::assertCount($i < 2 ? 4 : 5, $this->sidecar->requests(), 'only a success ends it');
        }
    }

    public function testDerivedClientsReportToo(): void
    {
        $this->wechat->answer(self::refusal(), self::refusal(0));
        $http = $this->http(self::symfony())->withOptions(['base_uri' => $this->wechat->address]);
        self::assertSame(0, $http->request('GET', 'cgi-bin/x', $this->query())->toArray()['errcode']);
        $http->reset();
    }
}
