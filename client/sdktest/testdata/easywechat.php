<?php

// As much of EasyWeChat 6 as its tokens take: toQuery() before each request, and where WeChat refuses the token,
// refresh() and the request once more. The interface is of the same shape.

declare(strict_types=1);

$connect = require __DIR__ . '/connect.php';
require __DIR__ . '/../../php/tests/easywechat.php';

return static function () use ($connect): string {
    $access = new Wxsidecar\EasyWeChatAccessToken($connect()); // $app->setAccessToken(…)
    $token = $access->toQuery()['access_token'];

    return in_array(user_info($token), [40001, 40014, 42001], true) ? $access->refresh() : $token;
};
