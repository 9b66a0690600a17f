<?php

// A PHP app with several memcacheds and accounts. For each line that it reads, it connects anew, as a PHP request does. It
// then prints one line of JSON: by account, the SHA-256 of what memcached has and of what the Composer package returns.

declare(strict_types=1);

[, $extension, $servers, $sidecar, $accounts] = $argv;
spl_autoload_register(static function (string $class): void {
    require __DIR__ . '/../../../client/php/src' . strtr(substr($class, strlen('Wxsidecar')), '\\', '/') . '.php';
});
ini_set('memcache.allow_failover', '0'); // what memcached has: not what another one has

function connect(string $extension, string $servers): Memcached|Memcache
{
    $m = $extension === 'memcached' ? new Memcached() : new Memcache();
    if ($m instanceof Memcached) {
        $m->setOptions([
            Memcached::OPT_LIBKETAMA_COMPATIBLE => true, Memcached::OPT_CONNECT_TIMEOUT => 1000, Memcached::OPT_POLL_TIMEOUT => 1000,
        ]);
    }
    foreach (explode(',', $servers) as $server) {
        [$host, $port] = explode(':', $server);
        $m instanceof Memcached ? $m->addServer($host, (int) $port) : @$m->addServer($host, (int) $port, false, 1, 1);
    }

    return $m;
}

while (fgets(STDIN) !== false) {
    $raw = connect($extension, $servers);
    $client = new Wxsidecar\Client(explode(',', $accounts)[0], connect($extension, $servers), $sidecar);
    $read = [];
    foreach (explode(',', $accounts) as $account) {
        $entry = @$raw->get($account);
        try {
            $token = $client->forAccount($account)->accessToken();
            $read[$account] = ['entry' => is_string($entry) ? hash('sha256', $entry) : '', 'token' => hash('sha256', $token)];
        } catch (Wxsidecar\Exception $e) {
            $read[$account] = ['entry' => '', 'token' => '', 'error' => $e->getMessage()];
        }
    }
    echo json_encode($read), "\n";
}
