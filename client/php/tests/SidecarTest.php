<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Client;
use Wxsidecar\Http\Curl;
use Wxsidecar\Http\NoAnswer;
use Wxsidecar\Http\Request;
use Wxsidecar\Http\Streams;
use Wxsidecar\Http\Url;
use Wxsidecar\Refused;
use Wxsidecar\Sidecar;
use Wxsidecar\SidecarUnavailable;
use Wxsidecar\WechatUnavailable;

/** Invalid answers of a sidecar, and the connections to it. */
final class SidecarTest extends TestCase
{
    /** @dataProvider invalidAnswers */
    public function testInvalidAnswers(string $scheme, string $answer): void
    {
        $server = $this->canned($scheme);
        $server->answer($answer);
        $client = new Client('wx1', sidecar: $server->address);
        foreach ([fn () => $client->accessToken(), fn () => $client->refresh(self::TOKEN)] as $call) {
            $start = microtime(true);
            $e = $this->assertFails(SidecarUnavailable::class, $call);
            self::assertLessThan(5, microtime(true) - $start);
            self::assertStringContainsString($server->address, $e->getMessage());
            self::assertStringContainsString('check the address', $e->getMessage());
        }
    }

    /** As in a container that does not mount the socket's folder, and then as in one without its group. */
    public function testSocketThatCannotBeOpened(): void
    {
        $folder = sys_get_temp_dir() . '/wxsidecar' . bin2hex(random_bytes(8));
        mkdir($folder);
        chmod($folder, 0755);
        $client = new Client('wx1', sidecar: "unix://$folder/s");
        $e = $this->assertFails(SidecarUnavailable::class, fn () => $client->accessToken());
        self::assertStringContainsString('sees no socket there: mount its folder', $e->getMessage());

        $listener = stream_socket_server("unix://$folder/s");
        chmod("$folder/s", 0);
        [$mine, $childs] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        $child = pcntl_fork();
        if ($child === 0) {
            posix_setuid(65534); // root may open any socket
            try {
                $client->accessToken();
            } catch (SidecarUnavailable $e) {
                fwrite($childs, $e->getMessage());
            }
            posix_kill((int) getmypid(), SIGKILL); // without the shutdown functions of the tests
        }
        fclose($childs);
        self::assertStringContainsString("give it the socket's group", (string) stream_get_contents($mine));
        pcntl_waitpid($child, $status);
        fclose($listener);
        array_map(unlink(...), glob("$folder/*"));
        rmdir($folder);
    }

    public function testIngressAnswers(): void
    {
        $server = $this->canned('http');
        foreach ([502, 503, 504] as $status) {
            $server->answer(CannedServer::http($status, '<html>canarytoken</html>'));
            $client = new Client('wx1', sidecar: $server->address);
            $e = $this->assertFails(SidecarUnavailable::class, fn () => $client->accessToken());
            self::assertStringContainsString("HTTP $status from something in front of the sidecar", $e->getMessage());
        }
    }

    /** @return iterable<string, array{string, string}> */
    public function invalidAnswers(): iterable
    {
        $whole = CannedServer::http(200, self::token(self::TOKEN));
        $answers = [
            'an endless answer' => 'flood',
            'endless headers' => "HTTP/1.1 200 OK\r\n" . str_repeat("X-More: canarysecret\r\n", 20_000),
            'headers of 100 KiB' => CannedServer::http(200, self::token(self::TOKEN), 'X: ' . str_repeat('a', 99_000)),
            'more than 64 KiB' => CannedServer::http(200, self::token(self::TOKEN) . str_repeat(' ', 65_536)),
            'nothing' => 'Connection: close',
            'not HTTP' => "SSH-2.0 Connection: close\r\n\r\n",
            'an incomplete answer' => substr($whole, 0, -10),
            'less than its length' => strtr($whole, ['Content-Length: ' => 'Content-Length: 9']),
            'HTML' => CannedServer::http(200, '<html>canarytoken</html>'),
            'not a JSON object' => CannedServer::http(200, '"canarytoken"'),
            'JSON without a token' => CannedServer::http(200, '{"expires_in":3000}'),
            'a token that is a number' => CannedServer::http(200, '{"access_token":1,"expires_in":3000}'),
            'a token with status 201' => CannedServer::http(201, self::token(self::TOKEN)),
            'a token with status 500' => CannedServer::http(500, self::token(self::TOKEN)),
            'an errcode that is a string' => CannedServer::http(400, '{"errcode":"40164","errmsg":"canarysecret"}'),
            'a token with a space' => CannedServer::http(200, self::token('canarytoken 1')),
            'a token with a line end' => CannedServer::http(200, self::token("canarytoken\n")),
            'a token of 2,049 bytes' => CannedServer::http(200, self::token(str_repeat('a', 2_049))),
            'an empty token' => CannedServer::http(200, self::token('')),
        ];
        foreach ($answers as $what => $answer) {
            yield "$what, over TCP" => ['tcp', $answer];
            yield "$what, over a unix socket" => ['unix', $answer];
        }
    }

    public function testRedirectIsNotFollowed(): void
    {
        $other = $this->canned();
        $other->answer(CannedServer::http(200, self::token(self::TOKEN)));
        $server = $this->canned();
        foreach ([301, 302, 307, 308] as $status) {
            $server->answer(CannedServer::http($status, '', "Location: $other->address/v1/wx1/access_token"));
            $client = new Client('wx1', sidecar: $server->address);
            $e = $this->assertFails(SidecarUnavailable::class, fn () => $client->accessToken());
            self::assertStringContainsString("HTTP $status", $e->getMessage());
        }
        self::assertSame([], $other->requests());
    }

    public function testProxyIsNotUsed(): void
    {
        $proxy = $this->canned();
        $proxy->answer(CannedServer::http(200, self::token(self::OTHER)));
        $server = $this->canned();
        $server->answer(CannedServer::http(200, self::token(self::TOKEN)));
        $this->withProxy($proxy, function () use ($server): void {
            self::assertToken(self::TOKEN, (new Client('wx1', sidecar: $server->address))->accessToken());
        });
        self::assertSame([], $proxy->requests());
    }

    public function testErrmsgIsRedacted(): void
    {
        $file = Process::folder() . '/bearer';
        file_put_contents($file, "canarysecret-bearer\n");
        $server = $this->canned();
        $errmsg = 'canarytoken-0001 of canarysecret-bearer rid: 1';
        $refusal = ['errcode' => 40001, 'errmsg' => $errmsg, 'hint' => 'see canarytoken-0001'];
        $server->answer(CannedServer::http(502, (string) json_encode($refusal), 'Retry-After: 7'));
        $client = new Client('wx1', sidecar: $server->address, bearerFile: $file);
        $e = $this->assertFails(Refused::class, fn () => $client->refresh(self::TOKEN));
        self::assertSame('[redacted] of [redacted] rid: 1', $e->errmsg);
        self::assertSame('see [redacted]', $e->hint);
        self::assertSame(7, $e->retryAfter);
        [$request] = $server->requests();
        self::assertStringStartsWith('POST /v1/wx1/access_token/refresh HTTP/1.', $request['text']);
        self::assertTrue(str_contains($request['text'], "\r\nAuthorization: Bearer canarysecret-bearer\r\n"));
        self::assertTrue(str_ends_with($request['text'], "\r\n\r\n" . '{"rejected":"canarytoken-0001"}'));
    }

    /** @dataProvider invalidBearers */
    public function testInvalidBearerIsNotSent(string $content): void
    {
        $file = Process::folder() . '/bearer';
        file_put_contents($file, $content);
        $server = $this->canned();
        $client = new Client('wx1', sidecar: $server->address, bearerFile: $file);
        $this->assertFails(SidecarUnavailable::class, fn () => $client->accessToken());
        self::assertSame([], $server->requests());
    }

    /** @return array<string, array{string}> */
    public function invalidBearers(): array
    {
        return [
            'an empty file' => [''],
            'only white space' => [" \n"],
            'a line with two words' => ["canarysecret\r\nX-Other: 1"],
            'three lines' => ["canarysecret-1\ncanarysecret-2\ncanarysecret-3\n"],
            'not ASCII' => ['canarysecret-秘密'],
            'more than 4 KiB' => [str_repeat('a', 4_097)],
        ];
    }

    /**
     * During a rotation the file has two tokens: the first is sent, and after a 401 the other one of the file as it is
     * then.
     */
    public function testBearerRotation(): void
    {
        $file = Process::folder() . '/bearer';
        [$b1, $b2] = ['canarysecret-bearer-1', 'canarysecret-bearer-2'];
        $refusal = CannedServer::http(401, "{\"errcode\":401,\"errmsg\":\"neither $b1 nor $b2\"}");
        $server = $this->canned();
        $client = new Client('wx1', sidecar: $server->address, bearerFile: $file);
        $sent = function (string $content) use ($server, $file): array {
            file_put_contents($file, $content);
            $all = implode(array_column($server->requests(), 'text'));
            preg_match_all('/bearer-([0-9])/', $all, $match);

            return $match[1];
        };
        $server->answer($refusal, CannedServer::http(200, self::token(self::TOKEN)));
        $sent("$b1\r\n\r\n $b2 \r\n");
        self::assertToken(self::TOKEN, $client->accessToken());
        self::assertSame(['1', '2'], $sent("$b1\n$b2"));
        self::assertToken(self::TOKEN, $client->accessToken());
        self::assertSame(['1', '2', '1'], $sent("$b1\n$b2"), 'the first one is accepted');
        $server->answer($refusal);
        $e = $this->assertFails(Refused::class, fn () => $client->refresh(self::OTHER));
        self::assertSame('neither [redacted] nor [redacted]', $e->errmsg);
        self::assertSame(['1', '2', '1', '1', '2'], $sent("$b2\n$b2\n"));
        $server->answer(CannedServer::http(401, '{"errcode":401,"errmsg":"no"}'));
        $this->assertFails(Refused::class, fn () => $client->accessToken());
        self::assertSame(['1', '2', '1', '1', '2', '2'], $sent(''), 'there is no other one');
    }

    /** Kubernetes mounts are links. */
    public function testBearerFileIsRegular(): void
    {
        [$file, $link, $fifo] = array_map(static fn (int $i) => Process::folder() . "/bearer-$i", [1, 2, 3]);
        file_put_contents($file, 'canarysecret-bearer');
        symlink($file, $link);
        posix_mkfifo($fifo, 0600);
        $server = $this->canned();
        $server->answer(CannedServer::http(200, self::token(self::TOKEN)));
        $client = fn (string $file) => new Client('wx1', sidecar: $server->address, bearerFile: $file);
        self::assertToken(self::TOKEN, $client($link)->accessToken());
        foreach ([$fifo, Process::folder(), '/dev/zero'] as $other) {
            $e = $this->assertFails(SidecarUnavailable::class, fn () => $client($other)->accessToken());
            self::assertStringStartsWith("get access_token of wx1: the bearer token in $other ", $e->getMessage());
        }
    }

    /** The sidecar says for how long it is too early for another report of this token. */
    public function testRetryAfterIsKeptPerToken(): void
    {
        $appId = 'wx' . bin2hex(random_bytes(8));
        $server = $this->canned();
        $server->answer(CannedServer::http(429, '{"errcode":429,"errmsg":"early"}', 'Retry-After: 31'));
        foreach ($this->extensions() as [$extension]) {
            $this->memcached->set("$appId-$extension", self::TOKEN);
            $before = count($server->requests());
            $client = new Client("$appId-$extension", $this->memcached->client($extension), $server->address);
            $refresh = fn () => $client->refresh(self::TOKEN);
            self::assertSame(31, $this->assertFails(Refused::class, $refresh)->retryAfter);
            Clock::advance(10.2);
            $e = $this->assertFails(Refused::class, $refresh);
            self::assertSame([429, 21], [$e->errcode, $e->retryAfter]);
            self::assertCount($before + 1, $server->requests());
            $this->assertFails(Refused::class, fn () => $client->refresh(self::OTHER));
            self::assertCount($before + 2, $server->requests(), 'another token');
            $this->memcached->set("$appId-$extension", self::OTHER);
            $this->assertFails(Refused::class, $refresh);
            self::assertCount($before + 3, $server->requests(), 'memcached has another one, which the sidecar returns');
            $this->memcached->set("$appId-$extension", self::TOKEN);
            Clock::advance(31);
            $this->assertFails(Refused::class, $refresh);
            self::assertCount($before + 4, $server->requests(), 'the time is over');
        }
    }

    public function testAddressWithAPath(): void
    {
        $server = $this->canned();
        $server->answer(CannedServer::http(200, self::token(self::TOKEN)));
        (new Client('wx1', sidecar: "$server->address/side/car/"))->accessToken();
        self::assertStringStartsWith('GET /side/car/v1/wx1/access_token HTTP', $server->requests()[0]['text']);
    }

    public function testRequestHas13SecondsAndNoProxy(): void
    {
        $transport = new RecordingTransport();
        (new Sidecar('https://sidecar', null, $transport))->get('wx1', 'access_token');
        self::assertSame(13.0, $transport->requests[0]->wait);
        self::assertFalse($transport->requests[0]->proxy);
        self::assertSame('https://sidecar/v1/wx1/access_token', (string) $transport->requests[0]->url);
    }

    public function testTimeoutWithoutAnAnswer(): void
    {
        $server = $this->canned();
        $server->answer('hang');
        $url = Url::parse($server->address) ?? self::fail();
        self::assertTimeout(new Request('GET', $url, [], null, null, false, 0.2, 100));
    }

    /** Sends a request that waits 0.2 s, with each transport. */
    private static function assertTimeout(Request $request): void
    {
        foreach (function_exists('curl_init') ? [new Curl(), new Streams()] : [new Streams()] as $transport) {
            $start = microtime(true);
            try {
                $transport->send($request);
                self::fail('there was an answer');
            } catch (NoAnswer $e) {
                self::assertSame('no answer within 0.2 s', $e->getMessage());
                self::assertGreaterThan(0.19, microtime(true) - $start);
                self::assertLessThan(4, microtime(true) - $start);
            }
        }
    }

    /** 0 ms means no timeout to libcurl, so the shortest wait must not become 0. */
    public function testShortestWechatWait(): void
    {
        $this->memcached->set('wx1', self::TOKEN);
        $server = $this->canned();
        $server->answer('hang');
        $m = $this->memcached->client('memcached');
        $client = new Client('wx1', $m, wechatHosts: ["127.0.0.1:$server->port"], wechatWait: 0.001);
        $call = fn () => $client->request('GET', "$server->address/cgi-bin/x");
        $this->assertFails(WechatUnavailable::class, $call);
    }

    public function testTimeoutWithAnUnreadBody(): void
    {
        $listener = stream_socket_server('tcp://127.0.0.1:0') ?: self::fail(); // reads nothing
        $url = Url::parse('http://' . stream_socket_get_name($listener, false)) ?? self::fail();
        $body = str_repeat('a', 30_000_000);
        self::assertTimeout(new Request('POST', $url, [], $body, null, false, 0.2, 100));
        fclose($listener);
    }

    public function testLongBodyArrivesComplete(): void
    {
        $server = $this->canned();
        $server->answer(CannedServer::http(200, 'ok'));
        $url = Url::parse($server->address) ?? self::fail();
        $body = str_repeat('0123456789', 500_000);
        self::assertSame('ok', (new Streams())->send(new Request('POST', $url, [], $body, null, false, 10, 100))->body);
        self::assertTrue(str_ends_with($server->requests()[0]['text'], "\r\n\r\n$body"), 'all bytes');
    }

    public function testChunkedAnswer(): void
    {
        $server = $this->canned();
        $chunks = "5\r\nhello\r\n0\r\n\r\n";
        $server->answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n$chunks");
        $url = Url::parse($server->address) ?? self::fail();
        $request = new Request('GET', $url, [], null, null, false, 5, 100);
        if (function_exists('curl_init')) {
            self::assertSame('hello', (new Curl())->send($request)->body);
        }
        $this->expectException(NoAnswer::class);
        (new Streams())->send($request);
    }

    public function testCurlReusesItsConnection(): void
    {
        $server = $this->canned();
        $server->answer(CannedServer::keepAlive(self::token(self::TOKEN)));
        $client = new Client('wx1', sidecar: $server->address);
        $client->accessToken();
        $client->refresh(self::TOKEN);
        $client->forAccount('wx2')->accessToken();
        $connections = array_unique(array_column($server->requests(), 'connection'));
        self::assertCount(function_exists('curl_init') ? 1 : 3, $connections);
    }

    public function testForkedChildHasItsOwnConnection(): void
    {
        $server = $this->canned();
        $server->answer(CannedServer::keepAlive(self::token(self::TOKEN)));
        $client = new Client('wx1', sidecar: $server->address);
        $client->accessToken();
        $child = pcntl_fork();
        if ($child === 0) {
            $client->accessToken();
            posix_kill((int) getmypid(), SIGKILL); // without the shutdown functions of the tests
        }
        pcntl_waitpid($child, $status);
        self::assertToken(self::TOKEN, $client->accessToken());
        [$first, $childs, $last] = array_column($server->requests(), 'connection');
        self::assertNotSame($first, $childs);
        self::assertNotSame($childs, $last);
    }
}
