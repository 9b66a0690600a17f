<?php

// The part of EasyWeChat 6 that uses tokens: toQuery() before each request. If WeChat refuses the token, refresh() and
// the request once more. The interface is the same.

declare(strict_types=1);

$connect = require __DIR__ . '/connect.php';
require __DIR__ . '/../../php/tests/easywechat.php';

return static function () use ($connect): string {
    $access = new Wxsidecar\EasyWeChatAccessToken($connect()); // $app->setAccessToken(…)
    $token = $access->toQuery()['access_token'];

    return in_array(user_info($token), [40001, 40014, 42001], true) ? $access->refresh() : $token;
};
