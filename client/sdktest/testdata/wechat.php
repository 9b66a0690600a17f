<?php

// What every program has that speaks to WeChat itself.

declare(strict_types=1);

define('APPID', (string) getenv('APPID'));
define('APPSECRET', (string) getenv('APPSECRET'));   // empty: nobody has it who reads what a sidecar keeps
define('API', (string) getenv('API'));               // https://api.weixin.qq.com in the class
define('TOKEN_API', (string) getenv('TOKEN_API'));   // the same; the sidecar's address where that is what changed
define('STALE', (int) (getenv('STALE') ?: 3600));    // the class's number

function http_get(string $url): string
{
    $curl = curl_init($url);
    curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 10]);

    return (string) curl_exec($curl);
}

/** Nobody looks at the answer: an errcode makes a null of the token. */
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

/** A page that is signed with the ticket, in a user's WeChat, which then asks WeChat. Returns its errcode. */
function sign(?string $ticket): int
{
    return json_decode(http_get(API . "/signed?ticket=$ticket"), true)['errcode'] ?? 0;
}
