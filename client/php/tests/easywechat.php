<?php

// The interfaces of EasyWeChat 6 that EasyWeChatAccessToken implements.

declare(strict_types=1);

namespace EasyWeChat\Kernel\Contracts;

interface AccessToken
{
    public function getToken(): string;

    /** @return array<string, string> */
    public function toQuery(): array;
}

// phpcs:ignore PSR1.Classes.ClassDeclaration.MultipleClasses
interface RefreshableAccessToken extends AccessToken
{
    public function refresh(): string;
}
