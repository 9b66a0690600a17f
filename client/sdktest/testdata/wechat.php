<?php

// The functions of programs that send requests to WeChat.

declare(strict_types=1);

define('APPID', (string) getenv('APPID'));
define('APPSECRET', (string) getenv('APPSECRET'));   // empty beside a sidecar
define('API', (string) getenv('API'));               // https://api.weixin.qq.com in the class
define('TOKEN_API', (string) getenv('TOKEN_API'));   // the same, or the sidecar's address
define('STALE', (int) (getenv('STALE') ?: 3600));    // the class's number

function http_get(string $url): string
{
    $curl = curl_init($url);
    curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 10]);

    return (string) curl_exec($curl);
}

/** Does not check the answer: with an errcode the token is null. */
function fetch_token(): ?string
{
    $url = TOKEN_API . '/cgi-bin/token?grant_type=client_credential&appid=' . APPID . '&secret=' . APPSECRET;

    return json_decode(http_get($url), true)['access_token'] ?? null;
}

function fetch_ticket(?string $token): ?string
{
    $answer = http_get(TOKEN_API . "/cgi-bin/ticket/getticket?type=jsapi&access_token=$token");

    return json_decode($answer, true)['ticket'] ?? null;
}

/** Returns WeChat's errcode. */
function user_info(?string $token): int
{
    $answer = http_get(API . "/cgi-bin/user/info?openid=oABC123&access_token=$token");

    return json_decode($answer, true)['errcode'] ?? 0;
}

/** Signs a page with the ticket, and returns the errcode for a user who opens it. */
function sign(?string $ticket): int
{
    return json_decode(http_get(API . "/signed?ticket=$ticket"), true)['errcode'] ?? 0;
}
