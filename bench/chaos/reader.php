<?php

// A PHP app that reads tokens until it is ended, one account after the other, as the Composer package's README has it
// or with the five lines of the main one. After each read it prints the account, the token's SHA-256 (or -), how many
// microseconds it took, and the error.

declare(strict_types=1);

error_reporting(E_ALL);
ini_set('display_errors', 'stderr');

[, $kind, $host, $port, $sidecar, $lines, $accounts] = $argv;
if ($kind === 'client') {
    // As Composer would. Not the tests' bootstrap: that stops the clock.
    spl_autoload_register(static function (string $class): void {
        require __DIR__ . '/../../client/php/src' . strtr(substr($class, strlen('Wxsidecar')), '\\', '/') . '.php';
    });
    $m = new Memcached();
    $m->setOptions([Memcached::OPT_CONNECT_TIMEOUT => 1000, Memcached::OPT_POLL_TIMEOUT => 1000]);
    $m->addServer($host, (int) $port);
    $all = new Wxsidecar\Client(explode(',', $accounts)[0], $m, $sidecar);
    $read = static fn (string $account): string => $all->forAccount($account)->accessToken();
} else {
    require $lines;
    $read = wx_access_token(...);
}

while (true) {
    foreach (explode(',', $accounts) as $account) {
        $start = hrtime(true);
        $token = $error = '';
        try {
            $token = $read($account);
        } catch (Exception $e) {
            $error = strtr($e->getMessage(), "\n", ' ');
        }
        $took = intdiv(hrtime(true) - $start, 1000);
        echo $account, ' ', $token === '' ? '-' : hash('sha256', $token), ' ', $took, ' ', $error, "\n";
        usleep(150_000);
    }
}
