<?php

declare(strict_types=1);

namespace Wxsidecar;

use EasyWeChat\Kernel\Contracts\RefreshableAccessToken;

/**
 * The Client as EasyWeChat 6 wants it:
 *
 *     $app->setAccessToken(new EasyWeChatAccessToken($client));
 *
 * EasyWeChat says that a token was refused and not which one: the last that this
 * object gave out counts as refused.
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
        return $this->last = $this->client->refresh($this->last);
    }

    /** @return array<string, mixed> without the token, for var_dump() and print_r() */
    public function __debugInfo(): array
    {
        return ['client' => $this->client];
    }
}
