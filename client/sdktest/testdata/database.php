<?php

// The class's database variant: token and ticket are in MySQL.

declare(strict_types=1);

// Without a database, PHP 8.1 and later throw. Earlier versions return no row, and the class fetches.
mysqli_report(getenv('QUIET') ? MYSQLI_REPORT_OFF : MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);

$lookUp = static function (string $type, Closure $fetch): ?string {
    $db = @new mysqli('localhost', 'root', '', (string) getenv('DATABASE'), null, (string) getenv('DATABASE_SOCKET'));
    $ask = static fn (string $sql) => $db->connect_errno === 0 ? $db->query($sql) : false;
    $found = $ask("SELECT `value`, `expire` FROM `wx_token` WHERE `type` = '$type'");
    $row = $found ? $found->fetch_assoc() : null;
    if (time() > (int) ($row['expire'] ?? 0) + STALE) {
        $value = $fetch();
        $ask("UPDATE `wx_token` SET `expire` = '" . time() . "', `value` = '$value' WHERE `type` = '$type'");

        return $value;
    }

    return $row['value'];
};
$token = static fn (): ?string => $lookUp('access_token', fetch_token(...));
$ticket = static fn (): ?string => $lookUp('jsapi_ticket', static fn (): ?string => fetch_ticket($token()));

return getenv('TICKET') ? $ticket : $token;
