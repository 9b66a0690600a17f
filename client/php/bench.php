<?php

// Compares a token with a bare get of the same extension: `./test.sh bench`.
//
// The two take turns within one run, so that other load on the machine affects both. Figures are medians of all turns.
// On a miss, a canned server answers instead of the sidecar; its time is in both columns. The floor of a miss is a bare
// get and a bare curl request with the same header, over a connection that is reused too.

declare(strict_types=1);

namespace Wxsidecar\Tests;

use Wxsidecar\Client;

require __DIR__ . '/tests/bootstrap.php';

$turns = 200;
$median = static function (array $figures): float {
    sort($figures);

    return $figures[intdiv(count($figures), 2)];
};
$compare = static function (string $what, int $calls, \Closure ...$both) use ($turns, $median): void {
    $times = [[], []];
    for ($turn = -5; $turn < $turns; $turn++) { // the first five warm up
        foreach ($turn % 2 === 0 ? [0, 1] : [1, 0] as $which) { // each is first in every other turn
            $start = \hrtime(true);
            for ($i = 0; $i < $calls; $i++) {
                $both[$which]();
            }
            $times[$which][$turn] = (\hrtime(true) - $start) / $calls / 1_000;
        }
    }
    [$ours, $floor] = array_map(static fn (array $all): array => array_slice($all, 5), $times);
    $ratios = array_map(static fn (float $a, float $b): float => $a / $b, $ours, $floor);
    printf("%-48s %8.2f %8.2f %7.2f\n", $what, $median($ours), $median($floor), $median($ratios));
};

$token = str_repeat('t', 136);
$memcached = new Memcached();
$memcached->set('wx1', $token);
printf("%-48s %8s %8s %7s\n", "µs per call, medians of $turns turns", 'Client', 'floor', 'ratio');

foreach (['memcached', 'memcache'] as $extension) {
    $m = $memcached->client($extension);
    $client = new Client('wx1', $m);
    $compare("hit: accessToken(), $extension's get", 200, fn () => $client->accessToken(), fn () => $m->get('wx1'));
}
foreach (['tcp' => 'TCP', 'unix' => 'a unix socket'] as $scheme => $way) {
    $server = new CannedServer($scheme);
    $server->answer(CannedServer::keepAlive((string) json_encode(['access_token' => $token, 'expires_in' => 3000])));
    $m = $memcached->client('memcached');
    $client = new Client('wxmiss', $m, $server->address);
    $curl = curl_init();
    $options = [
        CURLOPT_URL => ($scheme === 'unix' ? 'http://localhost' : $server->address) . '/v1/wxmiss/access_token',
        CURLOPT_HTTPHEADER => ['X-Wxsidecar: 1'],
        CURLOPT_RETURNTRANSFER => true,
    ];
    if ($scheme === 'unix') {
        $options[CURLOPT_UNIX_SOCKET_PATH] = substr($server->address, strlen('unix://'));
    }
    $bare = static function () use ($curl, $options, $m): void {
        $m->get('wxmiss');
        curl_setopt_array($curl, $options);
        json_decode((string) curl_exec($curl), true);
    };
    $compare("miss: accessToken(), get and curl, $way", 20, fn () => $client->accessToken(), $bare);
    $server->end();
}
$memcached->kill();
