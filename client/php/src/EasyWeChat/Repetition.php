<?php

declare(strict_types=1);

namespace Wxsidecar\EasyWeChat;

use Symfony\Component\HttpClient\Response\AsyncContext;
use Symfony\Contracts\HttpClient\ChunkInterface;
use Symfony\Contracts\HttpClient\Exception\TransportExceptionInterface;
use Wxsidecar\Client;
use Wxsidecar\Credentials;
use Wxsidecar\Errcode;
use Wxsidecar\Exception;

/**
 * Passes the chunks of one answer through, or repeats the request.
 *
 * @internal
 */
final class Repetition
{
    /** An answer that is empty so far, or begins as a refusal does. */
    private const OPEN = '~^\xEF?\xBB?\xBF?[ \t\r\n]*(?:\{|$)~D';

    private bool $repeatable = true;
    private ?string $token = null;
    /** The first chunk, which has no content, and the content after it: until it is clear that this is no refusal. */
    private ?ChunkInterface $first = null;
    private string $content = '';

    /** @param array<string, mixed> $options */
    public function __construct(
        private readonly Client $wx,
        private readonly string $method,
        #[\SensitiveParameter] private readonly string $url,
        #[\SensitiveParameter] private readonly array $options,
    ) {
        $body = [$options['body'] ?? ''];
        array_walk_recursive($body, function (mixed $part): void {
            $once = is_resource($part) || $part instanceof \Traversable || $part instanceof \Closure;
            $this->repeatable = $this->repeatable && !$once;
        });
    }

    /** @return \Generator<ChunkInterface> */
    public function __invoke(ChunkInterface $chunk, AsyncContext $context): \Generator
    {
        try {
            $passes = $context->getInfo('canceled') || $chunk->isTimeout() || $chunk->getInformationalStatus() !== null;
            $end = $passes || $chunk->isLast();
        } catch (TransportExceptionInterface) {
            [$passes, $end] = [false, true]; // the chunk is a failure, which the caller gets
        }
        if ($passes) {
            yield $chunk;

            return;
        }
        if ($chunk->getError() === null) {
            if ($chunk->isFirst()) {
                [$this->first, $this->token] = [$chunk, $this->tokenOf($context)];
            } else {
                $this->content .= $chunk->getContent();
            }
            if ($this->token !== null && !$end && $this->open()) {
                return;
            }
            $other = $this->token === null ? null : $this->otherToken($context, $this->token);
            if ($other !== null) {
                $this->repeat($context, $other);

                return;
            }
        }
        $context->passthru();
        yield from $this->first === null ? [] : [$this->first];
        yield from $this->content === '' ? [] : [$context->createChunk($this->content)];
        yield from $end ? [$chunk] : [];
    }

    /** Reports whether the answer can be a refusal, and has not ended. */
    private function open(): bool
    {
        return strlen($this->content) < Errcode::HEAD && preg_match(self::OPEN, $this->content) === 1;
    }

    private function repeat(AsyncContext $context, #[\SensitiveParameter] string $token): void
    {
        $this->repeatable = false;
        $this->content = '';
        $options = $this->options;
        $options['query'] = array_replace($options['query'] ?? [], ['access_token' => $token]);
        $context->getResponse()->cancel();
        $context->replaceRequest($this->method, $this->url, $options);
    }

    /** Returns the request's token if the Client returned it and the request has no other credential. */
    private function tokenOf(AsyncContext $context): ?string
    {
        $url = (array) parse_url((string) $context->getInfo('url')); // with base_uri and default options
        $token = Credentials::token($url['path'] ?? '', $url['query'] ?? '');

        return $token !== null && $this->wx->tokens()->has($token) ? $token : null;
    }

    /** Returns the token to repeat the request with, or null. It reports a refused token. */
    private function otherToken(AsyncContext $context, #[\SensitiveParameter] string $token): ?string
    {
        $path = (string) parse_url((string) $context->getInfo('url'), PHP_URL_PATH);
        if (!Errcode::refuses(substr($this->content, 0, Errcode::HEAD))) {
            if ($context->getStatusCode() === 200 && Errcode::of($this->content) === 0) {
                $this->wx->backoff()->accepted($this->method, $path);
            }

            return null;
        }
        $this->wx->tokens()->refuse($token);
        if (!$this->wx->backoff()->refused($this->method, $path, $token)) {
            return null;
        }
        try {
            $other = $this->wx->refresh($token);
        } catch (Exception) {
            return null; // WeChat's answer says more than a failed report
        }

        return $this->repeatable && $other !== $token ? $other : null;
    }
}
