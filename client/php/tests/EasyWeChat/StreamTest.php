<?php

declare(strict_types=1);

namespace Wxsidecar\Tests\EasyWeChat;

use Symfony\Component\HttpClient\MockHttpClient;
use Symfony\Component\HttpClient\Response\MockResponse;
use Symfony\Contracts\HttpClient\Exception\TransportExceptionInterface;
use Wxsidecar\Tests\CannedServer;

/** How HttpClient passes answers through. */
final class StreamTest extends EasyWeChatTestCase
{
    /** A part of a MockResponse. */
    private const PAUSE = '';

    /** An endless answer arrives, so nothing waits for its end. */
    public function testDownloadIsNotBuffered(): void
    {
        $this->wechat->answer('flood');
        $http = $this->http();
        $answer = $http->request('GET', 'cgi-bin/media/get', $this->query() + ['buffer' => false]);
        self::assertSame(200, $answer->getStatusCode());
        $before = memory_get_usage();
        $got = 0;
        foreach ($http->stream($answer) as $chunk) {
            $got += strlen($chunk->getContent());
            if ($got > 8_000_000) {
                break;
            }
        }
        $answer->cancel();
        self::assertLessThan(1_000_000, memory_get_usage() - $before);
        self::assertTrue($answer->getInfo('canceled'));
    }

    /** @return array<string, array{list<string>, int}> the parts of an answer, and how many of them wait */
    private static function parts(): array
    {
        $long = array_fill(0, 20, str_repeat('a', 10_000));

        return [
            'a picture' => [["\xff\xd8", '{"errcode":40001}'], 1],
            'an array' => [['[{"errcode"', ':40001}]'], 1],
            'a mark, and no brace' => [["\xEF", "\xBB\xBF", 'text', '{'], 3],
            'space, and no brace' => [[' ', "\n", 'x', 'y'], 3],
            'JSON' => [['{"total":1,', '"data":{}', '}'], 3],
            'a long answer' => [['{"x":"', ...$long, '"}'], 8],
            'long space' => [[...array_map(static fn () => str_repeat(' ', 10_000), $long), '{"errcode":40001}'], 7],
        ];
    }

    public function testAnswerWaitsOnlyWhileItCanBeARefusal(): void
    {
        foreach (self::parts() as $case => [$parts, $waiting]) {
            $http = $this->http(new MockHttpClient(new MockResponse($parts, ['response_headers' => ['X-Mine: yes']])));
            $answer = $http->request('GET', '/cgi-bin/x', $this->query());
            $got = [];
            foreach ($http->stream($answer) as $chunk) {
                $got[] = $chunk->getContent();
            }
            $want = ['', implode('', array_slice($parts, 0, $waiting)), ...array_slice($parts, $waiting), ''];
            self::assertSame(array_map(strlen(...), $want), array_map(strlen(...), $got), $case);
            self::assertTrue($want === $got, $case);
            self::assertSame(['yes'], $answer->getHeaders()['x-mine'], $case);
        }
        $this->assertReported();
    }

    /** A refusal in many parts. */
    public function testRefusalInPartsIsRecognized(): void
    {
        $parts = str_split("\xEF\xBB\xBF\r\n {\"errcode\":40001,\"errmsg\":\"no\"}\0");
        $answers = [new MockResponse($parts), new MockResponse(['{"errcode":', '0}'])];
        $answer = $this->http(new MockHttpClient($answers))->request('GET', '/cgi-bin/x', $this->query());
        self::assertSame('{"errcode":0}', $answer->getContent());
        self::assertCount(1, $answer->getInfo('previous_info'));
        $this->assertReported(self::TOKEN);
    }

    /** Answers of many requests, as they arrive. */
    public function testStreamOfManyAnswers(): void
    {
        $http = $this->http();
        $this->wechat->answer(self::refusal(), CannedServer::http(200, 'picture'), self::refusal(0));
        $answers = [];
        for ($i = 0; $i < 5; $i++) {
            $answers[] = $http->request('GET', "cgi-bin/$i", $this->query() + ['user_data' => $i]);
        }
        $got = $ends = [];
        foreach ($http->stream($answers) as $answer => $chunk) {
            $i = $answer->getInfo('user_data');
            $got[$i] = ($got[$i] ?? '') . ($chunk->isFirst() ? '' : $chunk->getContent());
            $ends[$i] = ($ends[$i] ?? '') . ($chunk->isFirst() ? 'first ' : '') . ($chunk->isLast() ? 'last' : '');
        }
        ksort($ends);
        self::assertSame(array_fill(0, 5, 'first last'), $ends);
        sort($got);
        self::assertSame(['picture', ...array_fill(0, 4, '{"errcode":0,"errmsg":"no rid: 1"}')], $got);
        $this->assertReported(self::TOKEN);
    }

    /** Reads as a PHP stream, and into a resource of the caller. */
    public function testStreamsAndBuffers(): void
    {
        $this->wechat->answer(self::refusal(), self::refusal(0));
        $stream = $this->http()->request('GET', 'cgi-bin/x', $this->query())->toStream();
        self::assertSame('{"errcode":0,"errmsg":"no rid: 1"}', stream_get_contents($stream));

        $this->wechat->answer(self::refusal(42001), self::refusal(0));
        $file = fopen('php://memory', 'w+');
        $this->memcached->set($this->wx->appId(), self::TOKEN);
        $this->http()->request('GET', 'cgi-bin/y', $this->query() + ['buffer' => $file])->getContent();
        rewind($file);
        self::assertSame('{"errcode":0,"errmsg":"no rid: 1"}', stream_get_contents($file), 'without the refusal');
    }

    public function testProgressAndDestructor(): void
    {
        $this->wechat->answer(self::refusal(), self::refusal(0));
        $calls = 0;
        $progress = static function () use (&$calls): void {
            $calls++;
        };
        $this->http()->request('POST', 'cgi-bin/x', $this->query() + ['on_progress' => $progress]); // nobody reads it
        self::assertGreaterThan(0, $calls);
        self::assertCount(2, $this->wechat->requests());
        $this->assertReported(self::TOKEN);
    }

    /** The caller gets what has arrived, then the failure. */
    public function testBrokenAnswer(): void
    {
        $this->wechat->answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{\"errcode\":40001,");
        $http = $this->http();
        $answer = $http->request('GET', 'cgi-bin/x', $this->query());
        $got = '';
        try {
            foreach ($http->stream($answer) as $chunk) {
                $got .= $chunk->getContent();
            }
            self::fail('no exception');
        } catch (TransportExceptionInterface) {
            self::assertSame('{"errcode":40001,', $got);
        }
        $this->assertReported();
    }

    /** A caller that waits for a part only so long can go on later. */
    public function testPauseInAnAnswer(): void
    {
        $answers = [new MockResponse(['{"errcode":', self::PAUSE, '40001}']), new MockResponse('{"errcode":0}')];
        $http = $this->http(new MockHttpClient($answers));
        $answer = $http->request('GET', '/cgi-bin/x', $this->query());
        foreach ($http->stream($answer, 0) as $chunk) {
            self::assertTrue($chunk->isTimeout());
        }
        self::assertSame('{"errcode":0}', $answer->getContent());
        $this->assertReported(self::TOKEN);
    }

    /** All of a refusal has arrived, but not its end. */
    public function testCanceledAnswer(): void
    {
        $http = $this->http(new MockHttpClient(new MockResponse(['{"errcode":40001}', self::PAUSE])));
        $answer = $http->request('GET', '/cgi-bin/x', $this->query());
        foreach ($http->stream($answer, 0) as $chunk) {
            self::assertTrue($chunk->isTimeout());
        }
        $answer->cancel();
        $this->assertReported();
    }

    public function testSilentServer(): void
    {
        $this->wechat->answer('hang');
        $this->expectException(TransportExceptionInterface::class);
        $this->http()->request('GET', 'cgi-bin/x', $this->query() + ['timeout' => 0.05])->getContent();
    }
}
