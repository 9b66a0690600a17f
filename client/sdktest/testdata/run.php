<?php

// run.php PROGRAM sends five requests a second with PROGRAM.php, as php-fpm does, until standard input ends.
// PROGRAM.php returns a function for the token of one request, or with TICKET for the jsapi_ticket, which run.php uses
// as the class's methods do. It returns false if it has sent the request itself.

declare(strict_types=1);

require __DIR__ . '/wechat.php';

$credential = require __DIR__ . "/$argv[1].php";
$use = getenv('TICKET') ? 'sign' : 'user_info';
$result = ['requests' => 0, 'failed' => 0, 'firstError' => ''];
do {
    $result['requests']++;
    try {
        $value = $credential();
        $value === false || $use($value); // false: it has sent its request
    } catch (Exception $e) { // ends the request under php-fpm
        $result['failed']++;
        $result['firstError'] = $result['firstError'] ?: get_class($e) . ': ' . $e->getMessage();
    }
    $read = [STDIN];
    $none = null;
} while (stream_select($read, $none, $none, 0, 200_000) === 0);
echo json_encode($result), "\n";
