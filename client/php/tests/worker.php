<?php

// The workers of WorkersTest run this for each request. It prints the process, the token's hash, and whether it waited.

declare(strict_types=1);

namespace Wxsidecar\Tests;

require_once __DIR__ . '/bootstrap.php';

if (!apcu_enabled()) {
    throw new \RuntimeException('APCu is disabled; enable apc.enable_cli');
}
Clock::$now = (float) $_GET['now'];
$memcached = new \Memcached();
$memcached->setOptions([\Memcached::OPT_CONNECT_TIMEOUT => 500, \Memcached::OPT_POLL_TIMEOUT => 500]);
$memcached->addServer('127.0.0.1', (int) getenv('MEMCACHED_PORT'));
$token = (new \Wxsidecar\Client('wx1', $memcached, (string) getenv('SIDECAR')))->accessToken();
echo json_encode([
    'pid' => getmypid(),
    'token' => hash('sha256', $token),
    'waited' => $memcached->getResultCode() === \Memcached::RES_TIMEOUT,
]);
