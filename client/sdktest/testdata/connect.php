<?php

// Creates the Client of client/php, with the extension that EXTENSION names, or without one.

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'Wxsidecar\\')) {
        require __DIR__ . '/../../php/src/' . strtr(substr($class, strlen('Wxsidecar\\')), '\\', '/') . '.php';
    }
});

return static function (): Wxsidecar\Client {
    [$host, $port] = explode(':', (string) getenv('MEMCACHED'));
    $memcached = null;
    switch (getenv('EXTENSION')) {
        case 'memcached':
            $memcached = new Memcached();
            $memcached->setOptions([Memcached::OPT_CONNECT_TIMEOUT => 1000, Memcached::OPT_POLL_TIMEOUT => 1000]);
            $memcached->addServer($host, (int) $port);
            break;
        case 'memcache':
            $memcached = new Memcache();
            $memcached->addServer($host, (int) $port);
            break;
    }

    return new Wxsidecar\Client(APPID, memcached: $memcached, sidecar: (string) getenv('SIDECAR'));
};
