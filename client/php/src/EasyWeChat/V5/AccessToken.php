<?php

declare(strict_types=1);

namespace Wxsidecar\EasyWeChat\V5;

use EasyWeChat\Kernel\Contracts\AccessTokenInterface;
use Psr\Http\Message\RequestInterface;
use Wxsidecar\Client;
use Wxsidecar\Credentials;
use Wxsidecar\Exception;

/**
 * The access_token for EasyWeChat 5:
 *
 *     $app->rebind('access_token', new AccessToken($client));
 *
 * EasyWeChat 5 calls refresh() if WeChat refuses a request with 40001, 40014 or 42001,
 * and repeats the request once: this reports the token of the last request.
 */
final class AccessToken implements AccessTokenInterface
{
    /** The token of the last request. */
    private string $last = '';
    /** The token after a report, for the request that EasyWeChat repeats: memcached can be late. */
    private ?string $next = null;

    public function __construct(private readonly Client $wx)
    {
    }

    /** @return array{access_token: string} without expires_in: get the token for each use, and do not store it */
    public function getToken(): array
    {
        return ['access_token' => $this->wx->accessToken()];
    }

    /** Reports the token of the last request. If that fails, EasyWeChat repeats the request with the same token. */
    public function refresh(): self
    {
        try {
            $this->next = $this->wx->refresh($this->last);
        } catch (Exception) {
            $this->next = null; // WeChat's answer, which the app gets, says more
        }

        return $this;
    }

    /**
     * Adds the token to the query, unless the request has or needs another credential.
     *
     * @param array<string, mixed> $requestOptions
     */
    public function applyToRequest(RequestInterface $request, array $requestOptions = []): RequestInterface
    {
        $uri = $request->getUri();
        $query = $uri->getQuery();
        if (Credentials::any($uri->getPath(), $query)) {
            return $request;
        }
        [$this->last, $this->next] = [$this->next ?? $this->wx->accessToken(), null];
        $query = ($query === '' ? '' : "$query&") . 'access_token=' . rawurlencode($this->last);

        return $request->withUri($uri->withQuery($query));
    }

    /** @return array<string, mixed> for var_dump() and print_r(), without the tokens */
    public function __debugInfo(): array
    {
        return ['wx' => $this->wx];
    }
}
