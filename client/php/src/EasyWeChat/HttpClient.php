<?php

declare(strict_types=1);

namespace Wxsidecar\EasyWeChat;

use Symfony\Component\HttpClient\AsyncDecoratorTrait;
use Symfony\Component\HttpClient\Response\AsyncResponse;
use Symfony\Contracts\HttpClient\HttpClientInterface;
use Symfony\Contracts\Service\ResetInterface;
use Wxsidecar\Client;

/**
 * The HTTP client for EasyWeChat 6, around its own. Set it before anything else:
 *
 *     $app->setHttpClient(new HttpClient($app->getHttpClient(), $client));
 *     $app->setAccessToken(new \Wxsidecar\EasyWeChatAccessToken($client));
 *
 * If WeChat refuses the access_token in a request's query with 40001, 40014 or 42001,
 * and $client returned that token, this reports the token and repeats the request once
 * with another one. WeChat does not execute a request that it refuses. A body that is
 * read only once (a resource, a generator, a closure) is not repeated, but the token is
 * reported. Reports back off per method and path.
 *
 * A caller gets an answer's status when its first byte has arrived. If that is a brace,
 * it gets it at the answer's end, or after 64 KiB. All other answers are not buffered.
 */
final class HttpClient implements HttpClientInterface, ResetInterface
{
    use AsyncDecoratorTrait;

    public function __construct(HttpClientInterface $client, private readonly Client $wx)
    {
        $this->client = $client;
        $wx->tokens(); // from now on
    }

    /** @param array<string, mixed> $options */
    public function request(
        string $method,
        #[\SensitiveParameter] string $url,
        #[\SensitiveParameter] array $options = [],
    ): AsyncResponse {
        $repetition = new Repetition($this->wx, $method, $url, $options);

        return new AsyncResponse($this->client, $method, $url, $options, $repetition);
    }
}
