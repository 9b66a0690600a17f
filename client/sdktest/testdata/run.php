<?php

// run.php PROGRAM: five requests a second to PROGRAM.php, each as alone as under php-fpm, until standard input ends.
// PROGRAM.php returns a function that gives the token for one request, or where TICKET is set the jsapi_ticket; this
// one uses it, as the class's methods do.

declare(strict_types=1);

require __DIR__ . '/wechat.php';

$credential = require __DIR__ . "/$argv[1].php";
$use = getenv('TICKET') ? 'sign' : 'user_info';
$told = ['requests' => 0, 'failed' => 0, 'first' => ''];
do {
    $told['requests']++;
    try {
        $use($credential());
    } catch (Exception $e) { // under php-fpm this request had ended here
        $told['failed']++;
        $told['first'] = $told['first'] ?: get_class($e) . ': ' . $e->getMessage();
    }
    $read = [STDIN];
    $none = null;
} while (stream_select($read, $none, $none, 0, 200_000) === 0);
echo json_encode($told), "\n";
