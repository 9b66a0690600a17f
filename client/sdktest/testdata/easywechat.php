<?php

// The parts of EasyWeChat 6 that use tokens: toQuery() before each request, and the HTTP client of Symfony, which
// HttpClient decorates. The interface is the same.

declare(strict_types=1);

use Symfony\Component\HttpClient\HttpClient;

$connect = require __DIR__ . '/connect.php';
require __DIR__ . '/../../php/tests/EasyWeChat/contracts.php';

return static function () use ($connect): bool {
    $wx = $connect();
    $http = HttpClient::create(['base_uri' => API, 'timeout' => 10]);
    $http = new Wxsidecar\EasyWeChat\HttpClient($http, $wx); // $app->setHttpClient(…)
    $access = new Wxsidecar\EasyWeChatAccessToken($wx);       // $app->setAccessToken(…)
    $options = ['query' => ['openid' => 'oABC123'] + $access->toQuery()];
    $http->request('GET', 'cgi-bin/user/info', $options)->getContent();

    return false;
};
