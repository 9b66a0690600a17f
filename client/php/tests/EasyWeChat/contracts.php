<?php

// The interfaces of EasyWeChat 6 and 5 that the classes for them implement, and the HTTP client of Symfony.
// phpcs:disable PSR1.Classes.ClassDeclaration.MultipleClasses, PSR1.Files.SideEffects

declare(strict_types=1);

namespace EasyWeChat\Kernel\Contracts;

require_once 'Symfony/Component/HttpClient/autoload.php';
require_once 'GuzzleHttp/Psr7/autoload.php';

interface AccessToken
{
    public function getToken(): string;

    /** @return array<string, string> */
    public function toQuery(): array;
}

interface RefreshableAccessToken extends AccessToken
{
    public function refresh(): string;
}

interface JsApiTicket
{
    public function getTicket(): string;

    /** @return array<string, mixed> */
    public function configSignature(string $url, string $nonce, int $timestamp): array;
}

interface RefreshableJsApiTicket extends JsApiTicket
{
    public function refreshTicket(): string;
}

/** EasyWeChat 5. */
interface AccessTokenInterface
{
    /** @return array<string, mixed> */
    public function getToken(): array;

    public function refresh(): self;

    /** @param array<string, mixed> $requestOptions */
    public function applyToRequest(
        \Psr\Http\Message\RequestInterface $request,
        array $requestOptions = [],
    ): \Psr\Http\Message\RequestInterface;
}
