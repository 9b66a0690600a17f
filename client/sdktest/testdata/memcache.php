<?php

// The class's memcache variant: the token is in memcached, under the AppID.

declare(strict_types=1);

return static function (): ?string {
    [$host, $port] = explode(':', (string) getenv('MEMCACHED'));
    $memcache = new Memcache();
    if (!@$memcache->connect($host, (int) $port)) {
        throw new RuntimeException('Could not connect'); // the class exits here
    }
    $token = $memcache->get(APPID);
    if (empty($token)) {
        $token = fetch_token();
        $memcache->set(APPID, $token, 0, 3600);
    }

    return $token;
};
