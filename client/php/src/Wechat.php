<?php

declare(strict_types=1);

namespace Wxsidecar;

use Wxsidecar\Http\NoAnswer;
use Wxsidecar\Http\Request;
use Wxsidecar\Http\Transport;
use Wxsidecar\Http\Url;

/**
 * Sends requests with the token, to WeChat alone.
 *
 * @internal
 */
final class Wechat
{
    /** Bytes of an answer: WeChat's pictures and videos have up to 10 MB. */
    private const MAX_ANSWER = 33_554_432;

    /** @var list<string> in lower case */
    private readonly array $moreHosts;

    /** @param array<mixed> $moreHosts host or host:port */
    public function __construct(
        private readonly Transport $transport,
        array $moreHosts,
        private readonly float $wait,
    ) {
        $lower = [];
        foreach ($moreHosts as $host) {
            if (!is_string($host) || Url::parse('https://' . strtolower($host) . '/')?->path !== '/') {
                throw new InvalidArgument('wechatHosts: an entry is not a host; use host or host:port');
            }
            $lower[] = strtolower($host);
        }
        $this->moreHosts = $lower;
    }

    /**
     * @param array<mixed>|string|null $body
     * @param array<string, string>    $headers
     * @see Client::request()
     */
    public function request(
        Client $client,
        string $method,
        #[\SensitiveParameter] string $url,
        #[\SensitiveParameter] array|string|null $body,
        #[\SensitiveParameter] array $headers,
    ): Response {
        $to = $this->trusted($url);
        [$method, $body, $headers] = self::prepared($method, $body, $headers);
        $token = $client->accessToken();
        $answer = $this->send($method, $to, $body, $headers, $token);
        if (!self::refuses($client, $method, $to, $token, $answer)) {
            return $answer;
        }
        try {
            $fresh = $client->refresh($token);
        } catch (Exception) {
            return $answer; // it says more than a failed report
        }
        if ($fresh === $token) {
            return $answer;
        }
        $answer = $this->send($method, $to, $body, $headers, $fresh);
        self::refuses($client, $method, $to, $fresh, $answer);

        return $answer;
    }

    /** Reports whether WeChat refused the token, and the token is to be reported now. */
    private static function refuses(
        Client $client,
        string $method,
        #[\SensitiveParameter] Url $to,
        #[\SensitiveParameter] string $token,
        #[\SensitiveParameter] Response $answer,
    ): bool {
        if ($answer->refusesToken()) {
            return $client->backoff()->refused($method, $to->path, $token);
        }
        if ($answer->status === 200 && $answer->errcode() === 0) {
            $client->backoff()->accepted($method, $to->path);
        }

        return false;
    }

    /** WeChat's hosts are api.weixin.qq.com, those below it (sh., sz., hk., file.) and api2.weixin.qq.com. */
    private function trusted(#[\SensitiveParameter] string $raw): Url
    {
        $url = Url::parse($raw);
        if ($url === null) {
            throw new InvalidArgument('request: not a plain URL; use https, no user name, fragment, space or \\');
        }
        $named = array_intersect([$url->host, "$url->host:$url->port"], $this->moreHosts) !== [];
        $known = preg_match('/^(([a-z0-9.-]+\.)?api|api2)\.weixin\.qq\.com$/D', $url->host) === 1;
        if (!($url->scheme === 'https' ? $named || $known : $named && $url->isLoopback())) {
            throw new InvalidArgument(
                "request: $url->scheme://$url->host must not get the token; use https to WeChat's API or to wechatHosts"
            );
        }
        if (Credentials::any($url->path, $url->query)) {
            throw new InvalidArgument("request: $url->path needs another credential; use another HTTP client");
        }

        return $url;
    }

    /**
     * @param array<mixed>|string|null $body
     * @param array<mixed>             $headers
     * @return array{string, string|null, array<string, string>}
     */
    private static function prepared(
        string $method,
        #[\SensitiveParameter] array|string|null $body,
        #[\SensitiveParameter] array $headers,
    ): array {
        if (preg_match('/^[A-Z]{1,16}$/D', $method) !== 1) {
            throw new InvalidArgument('request: not a method; use GET, POST or another in upper case');
        }
        foreach ($headers as $name => $value) {
            if (!is_string($name) || !is_string($value)) {
                throw new InvalidArgument("request: a header is not a string; use ['Name' => 'value']");
            }
            if (preg_match('/^[A-Za-z0-9-]+$/D', $name) + preg_match('/^[^\x00-\x1f\x7f]*$/D', $value) !== 2) {
                throw new InvalidArgument('request: a header has an invalid name, or control characters; remove it');
            }
        }
        if (is_array($body)) {
            // WeChat shows \u escapes to its users unchanged.
            $body = json_encode($body, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
            if ($body === false) {
                throw new InvalidArgument('request: the body cannot be JSON: ' . json_last_error_msg() . '; use UTF-8');
            }
        }
        if ($body === null && !in_array($method, ['GET', 'HEAD'], true)) {
            $body = '';
        }
        if ($body !== null && !array_key_exists('content-type', array_change_key_case($headers))) {
            $headers['Content-Type'] = 'application/json';
        }

        return [$method, $body, $headers];
    }

    /** @param array<string, string> $headers */
    private function send(
        string $method,
        Url $to,
        #[\SensitiveParameter] ?string $body,
        #[\SensitiveParameter] array $headers,
        #[\SensitiveParameter] string $token,
    ): Response {
        // https through a proxy is a tunnel that the proxy cannot read; plain http goes to loopback, and needs none.
        $proxy = $to->scheme === 'https';
        $url = $to->withToken($token);
        try {
            $answer = $this->transport->send(
                new Request($method, $url, $headers, $body, null, $proxy, $this->wait, self::MAX_ANSWER)
            );
        } catch (NoAnswer $e) {
            throw new WechatUnavailable("$method {$to->authority()}$to->path: {$e->getMessage()}");
        }
        // A redirect's Location can repeat the whole query.
        $headers = str_replace([$token, rawurlencode($token)], '[redacted]', $answer->headers());

        return new Response($answer->status, $headers, $answer->body);
    }
}
