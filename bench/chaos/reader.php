<?php

// A PHP app that reads tokens until it is killed, one account after the other, with the Composer package ("client") or
// with the README's function ("lines memcached", "lines memcache"). After each read it prints the account, the token's
// SHA-256 or "-", the microseconds, and the error.

declare(strict_types=1);

error_reporting(E_ALL);
ini_set('display_errors', 'stderr');

[, $kind, $host, $port, $sidecar, $accounts] = $argv;
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
    if (!preg_match('/^```php\n(function wx_access_token.*?)^```$/ms', file_get_contents(__DIR__ . '/../../README.md'), $found)) {
        throw new Exception('README.md has no function wx_access_token');
    }
    $memcached = $kind === 'lines memcached' ? 'true' : 'false';
    foreach (["'memcached', 11211" => "'$host', $port", 'http://127.0.0.1:7200' => $sidecar, "class_exists('Memcached')" => $memcached] as $from => $to) {
        $found[1] = str_replace($from, $to, $found[1], $count);
        if ($count === 0) {
            throw new Exception("README.md: wx_access_token has no $from");
        }
    }
    eval($found[1]);
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
