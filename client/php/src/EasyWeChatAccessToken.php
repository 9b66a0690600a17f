<?php

declare(strict_types=1);

namespace Wxsidecar;

use EasyWeChat\Kernel\Contracts\RefreshableAccessToken;

/**
 * The access_token for EasyWeChat 6, beside EasyWeChat\HttpClient:
 *
 *     $app->setAccessToken(new EasyWeChatAccessToken($client));
 *
 * EasyWeChat does not call refresh() for a refused token, and calls it for other
 * reasons. So it reports a token only if HttpClient saw WeChat refuse it.
 */
final class EasyWeChatAccessToken implements RefreshableAccessToken
{
    private string $last = '';

    public function __construct(private readonly Client $client)
    {
    }

    public function getToken(): string
    {
        return $this->last = $this->client->accessToken();
    }

    /** @return array<string, string> */
    public function toQuery(): array
    {
        return ['access_token' => $this->getToken()];
    }

    public function refresh(): string
    {
        return $this->last = $this->client->refresh($this->client->tokens()->refused($this->last) ? $this->last : '');
    }

    /** @return array<string, mixed> for var_dump() and print_r(), without the token */
    public function __debugInfo(): array
    {
        return ['client' => $this->client];
    }
}
