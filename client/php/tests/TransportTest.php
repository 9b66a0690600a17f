<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Client;
use Wxsidecar\Http\Curl;
use Wxsidecar\Http\NoAnswer;
use Wxsidecar\Http\Request;
use Wxsidecar\Http\Streams;
use Wxsidecar\Http\Transport;
use Wxsidecar\Http\Url;
use Wxsidecar\Sidecar;

/** One transport sends all requests of a Client; they must not affect each other. */
final class TransportTest extends TestCase
{
    private Transport $transport;
    private CannedServer $server;
    private CannedServer $unix;

    protected function setUp(): void
    {
        parent::setUp();
        $this->transport = function_exists('curl_init') ? new Curl() : new Streams();
        [$this->server, $this->unix] = [$this->canned(), $this->canned('unix')];
        $this->server->answer(CannedServer::keepAlive(''));
        $this->unix->answer(CannedServer::keepAlive(''));
    }

    /** @param array<string, string> $headers */
    private function request(
        string $method = 'GET',
        array $headers = [],
        ?string $body = null,
        bool $unix = false,
        bool $secret = false,
        float $wait = 5,
    ): Request {
        $url = Url::parse("{$this->server->address}/x") ?? self::fail('no URL');
        $socket = $unix ? substr($this->unix->address, strlen('unix://')) : null;

        return new Request($method, $url, $headers, $body, $socket, false, $wait, 1_000, $secret);
    }

    /** @dataProvider secrets */
    public function testRequestsAreIndependent(bool $secret): void
    {
        $get = $this->request(secret: $secret);
        $others = [
            'a body' => $this->request('POST', body: 'canarysecret', secret: $secret),
            'an empty body' => $this->request('PUT', body: '', secret: $secret),
            'no body in its answer' => $this->request('HEAD', secret: $secret),
            'a header' => $this->request(headers: ['X-Mine' => 'yes'], secret: $secret),
            'a socket' => $this->request(headers: ['X-Mine' => 'yes'], unix: true, secret: $secret),
            'all of it' => $this->request('POST', ['X-Mine' => 'yes'], 'canarysecret', true, $secret),
        ];
        $this->transport->send($get);
        [$want] = array_column($this->server->requests(), 'text');
        foreach ($others as $what => $other) {
            $this->server->answer(CannedServer::keepAlive(''));
            $this->transport->send($other);
            $this->server->answer(CannedServer::keepAlive('hello'));
            foreach ([$get, $get] as $again) {
                $before = count($this->server->requests());
                self::assertSame('hello', $this->transport->send($again)->body, "after one with $what");
                [$got] = array_slice(array_column($this->server->requests(), 'text'), $before);
                self::assertTrue($got === $want, "after one with $what");
            }
        }
        self::assertCount(2, $this->unix->requests());
    }

    /** @return array<string, array{bool}> */
    public function secrets(): array
    {
        return ['with secrets' => [true], 'without' => [false]];
    }

    /** @dataProvider invalidAnswers */
    public function testInvalidAnswerLeavesNothingBehind(string $bad): void
    {
        $request = $this->request();
        foreach ([$bad, $bad, CannedServer::keepAlive('hello')] as $raw) {
            $this->server->answer($raw);
            try {
                $answer = $this->transport->send($request);
                self::assertSame(CannedServer::keepAlive('hello'), $raw, 'an invalid answer was accepted');
                self::assertSame('hello', $answer->body);
                self::assertSame(['content-type' => 'application/json', 'content-length' => '5'], $answer->headers());
            } catch (NoAnswer) {
                self::assertSame($bad, $raw, 'a valid answer was refused');
            }
        }
    }

    /** @return array<string, array{string}> */
    public function invalidAnswers(): array
    {
        return [
            'an endless body' => ['flood'],
            'a body that is too long' => [CannedServer::http(200, str_repeat('a', 1_001))],
            'an incomplete body' => [strtr(CannedServer::http(200, 'hell'), ['Length: ' => 'Length: 9'])],
            'headers that are too long' => [CannedServer::http(200, '', ...array_fill(0, 70, str_pad('X:', 1_000)))],
        ];
    }

    public function testSignalLeavesNothingBehind(): void
    {
        $part = "HTTP/1.1 200 OK\r\nX-Part: yes\r\nContent-Length: 9\r\n\r\npart";
        $this->server->answer($this->transport instanceof Curl ? $part : 'hang'); // in HTTP/1.0 a part is an answer
        $asynchronous = pcntl_async_signals(true);
        pcntl_signal(SIGALRM, static fn () => throw new \DomainException());
        pcntl_alarm(1);
        $request = $this->request(wait: 1.2); // ends after the signal, whose handler runs with PHP code
        try {
            $this->transport->send($request);
            self::fail('there was an answer');
        } catch (\DomainException) {
            $this->server->answer(CannedServer::keepAlive('hello'));
            $answer = $this->transport->send($request);
            self::assertSame('hello', $answer->body);
            self::assertArrayNotHasKey('x-part', $answer->headers());
        } finally {
            pcntl_alarm(0);
            pcntl_signal(SIGALRM, SIG_DFL);
            pcntl_async_signals($asynchronous);
        }
    }

    public function testNoSecretIsStored(): void
    {
        $file = Process::folder() . '/bearer';
        file_put_contents($file, 'canarysecret-bearer');
        $this->server->answer(CannedServer::keepAlive(self::token(self::TOKEN)));
        $hosts = ["127.0.0.1:{$this->server->port}"];
        foreach ([null, $file] as $bearer) {
            $client = new Client('wx1', null, $this->server->address, bearerFile: $bearer, wechatHosts: $hosts);
            $calls = [
                'accessToken' => fn () => $client->accessToken(),
                'refresh' => fn () => $client->refresh(self::OTHER),
                'request' => fn () => $client->request('POST', "{$this->server->address}/x", 'canarysecret'),
            ];
            foreach ($calls as $what => $call) {
                $call();
                $stored = print_r($client, true) . print_r(self::effectiveUrl($client), true);
                self::assertFalse(str_contains($stored, 'canarytoken'), "a token is stored after $what");
                self::assertFalse(str_contains($stored, 'canarysecret'), "a secret is stored after $what");
            }
        }
    }

    /** Returns the URL that libcurl remembers. */
    private static function effectiveUrl(Client $client): string
    {
        $within = static fn (object $it, string $name) => (new \ReflectionProperty($it, $name))->getValue($it);
        $transport = $within($within($client, 'sidecar'), 'transport');

        return $transport instanceof Curl
            ? curl_getinfo($within($within($transport, 'idle'), 'curl'), CURLINFO_EFFECTIVE_URL)
            : '';
    }

    public function testRequestWithoutSecretsIsReused(): void
    {
        $file = Process::folder() . '/bearer';
        file_put_contents($file, 'canarysecret-bearer');
        $recording = new RecordingTransport();
        $sidecar = new Sidecar('http://sidecar', null, $recording);
        $sidecar->get('wx1', 'access_token');
        $sidecar->refresh('wx1', 'access_token', self::TOKEN);
        $sidecar->get('wx1', 'access_token');
        $sidecar->get('wx2', 'access_token');
        (new Sidecar('http://sidecar', $file, $recording))->get('wx1', 'access_token');
        [$first, $refresh, $again, $another, $bearer] = $recording->requests;
        self::assertTrue($first === $again);
        self::assertSame('http://sidecar/v1/wx2/access_token', (string) $another->url);
        $secret = array_column([$first, $refresh, $again, $another, $bearer], 'secret');
        self::assertSame([false, true, false, false, true], $secret);
    }

    /** Long-running apps can disable the garbage collector, or wait long for it. */
    public function testConnectionsEndWithTheirClient(): void
    {
        $this->server->answer(CannedServer::keepAlive(self::token(self::TOKEN)));
        $open = static fn (): int => count((array) scandir('/proc/self/fd'));
        $collects = gc_enabled();
        gc_disable();
        try {
            $before = $open();
            for ($i = 0; $i < 5; $i++) {
                (new Client('wx1', null, $this->server->address))->accessToken();
            }
            self::assertSame($before, $open());
        } finally {
            $collects ? gc_enable() : gc_disable();
        }
    }
}
